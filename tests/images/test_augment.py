from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import UsageError
from tfxfer.images.augment import AUGMENT_LEVELS, make_views
from tfxfer.images.decode import resize_image
from tfxfer.preprocessing import Resize


def views_per_stage(image: Image.Image, views: list[int], **options: object) -> np.ndarray:
    arguments = {"size_px": 64, "resize": Resize(), "level": "light", "seed": 0, "index": 0}
    return make_views(image, views=views, **{**arguments, **options})


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


@pytest.mark.parametrize("level", AUGMENT_LEVELS)
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_view_0_is_the_plain_resize(photo: Image.Image, level: str, fit: str) -> None:
    resize = Resize(fit=fit)
    views = views_per_stage(photo, [0, 1, 0], level=level, resize=resize)
    plain = resize_image(photo, 64, resize)
    assert views.shape == (3, 64, 64, 3)
    assert views.dtype == np.uint8
    assert np.array_equal(views[0], plain)
    assert np.array_equal(views[2], plain)
    assert np.array_equal(views[1], plain) == (level == "none")


@pytest.mark.parametrize("level", ["light", "strong"])
def test_a_view_depends_on_its_numbers_alone(photo: Image.Image, level: str) -> None:
    together = views_per_stage(photo, list(range(1, 9)), level=level)
    for view in (3, 8):
        assert np.array_equal(views_per_stage(photo, [view], level=level)[0], together[view - 1])
    assert len({view.tobytes() for view in together}) == 8
    for other in ({"seed": 1}, {"index": 1}):
        assert distance(views_per_stage(photo, [3], level=level, **other)[0], together[2]) > 3


def test_strong_goes_further_than_light(photo: Image.Image) -> None:
    plain = resize_image(photo, 64)
    far = {
        level: np.mean(
            [distance(v, plain) for v in views_per_stage(photo, list(range(1, 33)), level=level)]
        )
        for level in ("light", "strong")
    }
    assert 5 < far["light"] < far["strong"] < 90


def test_flips_can_be_forbidden() -> None:
    # Dark on the left, bright on the right: a mirrored view is told by its slope.
    ramp = np.linspace(0, 255, 128, dtype=np.uint8)[None, :, None].repeat(128, 0).repeat(3, 2)
    image = Image.fromarray(ramp)

    def count_mirrored(flip: bool) -> int:
        views = views_per_stage(image, list(range(1, 41)), flip=flip).astype(int)
        return int((views[:, :, -8:].mean((1, 2, 3)) < views[:, :, :8].mean((1, 2, 3))).sum())

    assert count_mirrored(flip=False) == 0
    assert 8 < count_mirrored(flip=True) < 32


def test_crops_keep_what_they_promise() -> None:
    # Pixels that tell their own place: the range that a view shows is the crop's size.
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None].repeat(256, 0).repeat(3, 2)
    spans = []
    for view in views_per_stage(Image.fromarray(ramp), list(range(1, 61)), flip=False).astype(int):
        row = view[32].mean(axis=-1)
        spans.append((row[-1] - row[0]) / 255)
    # Side from sqrt(0.6 * 3/4) to 1, times a contrast and brightness of 0.9 to 1.1 each.
    assert min(spans) > 0.54
    assert max(spans) < 1.22
    assert np.std(spans) > 0.05


def test_strong_rotations_show_no_corners() -> None:
    white = Image.new("RGB", (100, 80), "white")
    views = views_per_stage(white, list(range(1, 81)), level="strong")
    corners = views[:, [0, 0, -1, -1], [0, -1, 0, -1]].astype(int).max(axis=-1)
    # Erased rectangles may touch a corner of a few.
    assert (corners < 60).mean() < 0.05


def test_light_views_vary_the_resize(photo: Image.Image) -> None:
    # Nearest-neighbour keeps more of the noise that antialiasing removes.
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (640, 640, 3), dtype=np.uint8))
    spread = [view.std() for view in views_per_stage(noise, list(range(1, 41)))]
    assert min(spread) < 25
    assert max(spread) > 60


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (17, 16)])
@pytest.mark.parametrize("level", ["light", "strong"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_small_and_odd_images(size: tuple[int, int], level: str, fit: str) -> None:
    image = Image.new("RGB", size, (50, 100, 150))
    views = views_per_stage(
        image, list(range(1, 25)), level=level, resize=Resize(fit=fit), size_px=8
    )
    assert views.shape == (24, 8, 8, 3)


def test_unknown_level(photo: Image.Image) -> None:
    with pytest.raises(UsageError, match="none, light, strong"):
        views_per_stage(photo, [1], level="extreme")
