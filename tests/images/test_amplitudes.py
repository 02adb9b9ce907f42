from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfxfer.images.amplitudes import WINDOWS, find_reach, give_amplitudes, measure_amplitudes
from tfxfer.images.modality import ImageModality

SIDE = 32
WIDEST = find_reach(SIDE, max(WINDOWS))


def draw_waves(frequency: int, *, mean: float, height: float, turn: float = 0.0) -> np.ndarray:
    """Returns a grey picture of one cosine from left to right."""
    columns = mean + height * np.cos(2 * np.pi * frequency * np.arange(SIDE) / SIDE + turn)
    return np.broadcast_to(columns[None, :, None], (SIDE, SIDE, 3)).astype(np.float32)


def measure(image: np.ndarray) -> np.ndarray:
    found: np.ndarray = measure_amplitudes(image[None])[0]
    return found


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (8, 8, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def test_windows_reach_as_far_as_their_share_of_the_side() -> None:
    assert [find_reach(224, window) for window in WINDOWS] == [2, 11, 20]
    assert WIDEST == 2
    # Beyond half of the side there is nothing: what comes then is there already.
    assert find_reach(8, 0.5) == 3
    assert find_reach(9, 0.5) == 4


def test_amplitudes_of_a_wave_are_those_of_its_formula() -> None:
    found = measure(draw_waves(2, mean=100, height=30))
    assert found.shape == (5, 5, 3)
    assert found.dtype == np.float32
    wanted = np.zeros((5, 5))
    wanted[2, 2] = 100 * SIDE**2
    wanted[2, [0, 4]] = 30 / 2 * SIDE**2
    for channel in range(3):
        np.testing.assert_allclose(found[..., channel], wanted, atol=0.5)


def test_a_wave_gets_the_height_of_the_other_and_keeps_its_place() -> None:
    own = draw_waves(2, mean=128, height=40, turn=0.7)
    other = measure(draw_waves(2, mean=90, height=10, turn=2.0))
    found = give_amplitudes(own, other, window=0.09)
    np.testing.assert_allclose(found, draw_waves(2, mean=90, height=10, turn=0.7), atol=1e-3)
    # A window that ends before the wave gives the mean alone.
    found = give_amplitudes(own, other, window=0.05)
    np.testing.assert_allclose(found, draw_waves(2, mean=90, height=40, turn=0.7), atol=1e-3)
    half = give_amplitudes(own, other, window=0.09, share=0.5)
    np.testing.assert_allclose(half, draw_waves(2, mean=109, height=25, turn=0.7), atol=1e-3)
    # The same comparison tells a wave that has moved.
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found, draw_waves(2, mean=90, height=40, turn=0.71), atol=1e-3)


def test_no_window_and_no_share_give_the_picture_back() -> None:
    own, other = noise(0), measure(noise(1))
    assert np.array_equal(give_amplitudes(own, other, window=0.0), own)
    assert np.array_equal(give_amplitudes(own, other, window=0.09, share=0.0), own)
    assert np.abs(give_amplitudes(own, other, window=0.01) - own).max() > 1


@pytest.mark.parametrize("window", WINDOWS)
def test_what_the_whole_transform_says_of_it(window: float) -> None:
    own, other = noise(2), noise(3)
    found = give_amplitudes(own, measure(other), window=window)
    before, target, after = (np.fft.fft2(x, axes=(0, 1)) for x in (own, other, found))
    reach = find_reach(SIDE, window)
    assert reach is not None
    near = np.abs(np.fft.fftfreq(SIDE, 1 / SIDE)) <= reach
    inside = np.ix_(near, near)
    np.testing.assert_allclose(np.abs(after[inside]), np.abs(target[inside]), rtol=1e-4, atol=2)
    np.testing.assert_allclose(np.angle(after[inside]), np.angle(before[inside]), atol=1e-3)
    outside = ~np.outer(near, near)
    np.testing.assert_allclose(after[outside], before[outside], atol=2)
    # Neither holds of pictures that nothing was done to.
    assert np.abs(np.abs(before[inside]) - np.abs(target[inside])).max() > 2000
    if reach:  # a mean has no phase
        assert np.abs(np.angle(target[inside]) - np.angle(before[inside])).max() > 0.1


def test_a_plain_picture_takes_what_it_has_no_phase_of() -> None:
    flat = np.full((SIDE, SIDE, 3), 60, np.uint8)
    found = give_amplitudes(flat, measure(draw_waves(1, mean=100, height=20)), window=0.09)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(100, abs=0.01)


def test_images_are_given_a_look_and_stay_bytes() -> None:
    modality = ImageModality()
    bright = np.stack([np.full((SIDE, SIDE, 3), 250, np.uint8), noise(4).astype(np.uint8)])
    looks = modality.measure_looks(bright)
    own = noise(5).astype(np.uint8)
    kept = own.copy()
    given = [modality.give_look(own, looks[0], rng=np.random.default_rng(n)) for n in range(8)]
    assert np.array_equal(own, kept)
    for found in given:
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.uint8
        assert found.shape == own.shape
        assert found.mean() > 230
    again = modality.give_look(own, looks[0], rng=np.random.default_rng(3))
    assert np.array_equal(again, given[3])
    # Windows of three sizes: some draws differ.
    assert len({np.asarray(x).tobytes() for x in given}) > 1
