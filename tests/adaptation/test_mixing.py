from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer.adaptation.mixing import MixStyle, Statistics, has_maps, mix_statistics
from tfxfer.backbone import BACKBONE_END
from tfxfer.frontier.cut import ACTIVATIONS, make_prefix


def make_maps(seed: int, count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    spread, middle = rng.uniform(0.5, 3, (count, 1, 1, 4)), rng.uniform(-2, 2, (count, 1, 1, 4))
    found: np.ndarray = (middle + spread * rng.normal(size=(count, 5, 6, 4))).astype(np.float32)
    return found


def measure(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return maps.mean(axis=(1, 2)), maps.std(axis=(1, 2))


def test_statistics_of_a_map_that_one_can_count() -> None:
    maps = np.array([[[[1.0, 5]], [[3, 5]]]])
    found = Statistics.of(maps)
    np.testing.assert_allclose(found.means, [[2, 5]])
    np.testing.assert_allclose(found.deviations, [[1, 1e-3]], rtol=1e-6)


def test_without_a_share_of_its_own_a_map_has_the_other_one_s_statistics() -> None:
    own, other = make_maps(0), make_maps(1)
    found = measure(mix_statistics(own, Statistics.of(other), 0.0))
    for one, two in zip(found, measure(other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    # The same comparison sees that they were its own before.
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(measure(own)[1], measure(other)[1], rtol=1e-4, atol=1e-5)


def test_between_the_two_statistics_are_mixed_and_positions_kept() -> None:
    own, other = make_maps(2), make_maps(3)
    shares = np.array([0.25, 0.5, 1.0])
    found = mix_statistics(own, Statistics.of(other), shares)
    for got, mine, theirs in zip(measure(found), measure(own), measure(other), strict=True):
        wanted = shares[:, None] * mine + (1 - shares[:, None]) * theirs
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[2], own[2], rtol=1e-5, atol=1e-5)
    for before, after in zip(own, found, strict=True):
        for channel in range(4):
            pair = before[..., channel].ravel(), after[..., channel].ravel()
            assert np.corrcoef(*pair)[0, 1] == pytest.approx(1, abs=1e-5)


def test_a_channel_that_is_constant_becomes_the_other_s_mean() -> None:
    own, other = np.zeros((1, 4, 4, 2), np.float32), make_maps(4, count=1)[..., :2]
    found = mix_statistics(own, Statistics.of(other), 0.0)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(measure(found)[0], measure(other)[0], rtol=1e-5)


@pytest.fixture(scope="module")
def model(make_tiny: Callable[..., Any]) -> Any:
    return make_tiny()


def test_pooled_features_and_inputs_are_left_alone(model: Any, images: Any) -> None:
    mixing = MixStyle(images.test, seed=0)
    assert not has_maps(model, BACKBONE_END)
    assert not has_maps(model, None)
    assert mixing(model, BACKBONE_END) is None
    assert mixing(model, None) is None
    assert has_maps(model, "block_1")


def test_half_of_a_batch_is_mixed_with_what_the_prefix_makes_of_the_others(
    model: Any, images: Any
) -> None:
    done: list[tuple[int, int]] = []
    mixing = MixStyle(images.test, 3, lambda what, some, total: done.append((some, total)))
    change = mixing(model, "block_1")
    assert change is not None
    assert done[-1] == (12, 12)
    plain = images.test.read_views(range(12))[:, 0]
    maps = np.asarray(make_prefix(model, ["block_1"])(plain.astype(np.float32)))
    others = Statistics.of(maps)
    batch = np.tile(make_maps(5, count=1)[:, :, :, :1], (400, 1, 1, maps.shape[-1]))
    found = change(batch, 2, 7)
    assert isinstance(found, np.ndarray)
    mixed = (found != batch).any(axis=(1, 2, 3))
    # 200 of 400, and five standard deviations of 10 around it.
    assert 150 <= mixed.sum() <= 250
    # Below 1e-4 lies a fifth of Beta(0.1, 0.1): about 40 maps have one of the others' statistics.
    distance = np.abs(found.mean(axis=(1, 2))[:, None] - others.means[None]).max(axis=2)
    taken = distance.min(axis=1) < 1e-3
    assert 20 <= taken[mixed].sum() <= mixed.sum() / 2
    assert not taken[~mixed].any()
    assert len(set(distance[taken].argmin(axis=1))) > 6


def test_a_batch_follows_from_the_seed_the_epoch_and_its_number(model: Any, images: Any) -> None:
    change, again = (MixStyle(images.test, seed=1)(model, "block_1") for _ in range(2))
    other = MixStyle(images.test, seed=2)(model, "block_1")
    assert change is not None
    assert again is not None
    assert other is not None
    batch = make_maps(6, count=8)[..., :1].repeat(6, axis=3)
    first = np.asarray(change(batch, 0, 0))
    assert np.array_equal(first, np.asarray(again(batch, 0, 0)))
    for different in (change(batch, 1, 0), change(batch, 0, 1), other(batch, 0, 0)):
        assert not np.array_equal(first, np.asarray(different))
    # What crosses the frontier beside activations is not touched.
    mask = np.arange(8)
    found = change({ACTIVATIONS: batch, "mask": mask}, 0, 0)
    assert isinstance(found, dict)
    assert np.array_equal(found[ACTIVATIONS], first)
    assert found["mask"] is mask
