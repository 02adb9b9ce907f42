from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.images import duplicates
from tfxfer.images.duplicates import difference_hash, find_near_duplicates, make_thumbnail

COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG quality 50": lambda image: recode(image, "JPEG", quality=50),
    "WebP": lambda image: recode(image, "WEBP", quality=80),
    "BMP": lambda image: recode(image, "BMP"),
    "brighter": lambda image: image.point(lambda value: int(value * 0.85 + 12)),
}

CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped by a tenth": lambda image: image.crop(
        (image.width // 10, image.height // 10, image.width, image.height)
    ),
}


def recode(image: Image.Image, form: str, **options: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return Image.open(io.BytesIO(buffer.getvalue()))


def thumbnails_of(images: list[Image.Image]) -> np.ndarray:
    return np.stack([make_thumbnail(image.convert("RGB")) for image in images])


def elpv_files() -> list[Path]:
    package = pytest.importorskip("elpv_dataset")
    return sorted((Path(package.__file__).parent / "data" / "images").glob("*.png"))


@pytest.fixture(scope="module")
def cells() -> list[Image.Image]:
    """Photos of 120 solar cells, which all look alike."""
    images = []
    for path in elpv_files()[::22]:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    return images


@pytest.mark.parametrize("change", COPIES)
def test_every_copy_is_found(cells: list[Image.Image], change: str) -> None:
    count = len(cells)
    groups = find_near_duplicates(thumbnails_of(cells + [COPIES[change](c) for c in cells]))
    assert np.array_equal(groups[:count], groups[count:])
    assert np.bincount(groups).max() <= 4


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_copy_is_not_found(cells: list[Image.Image], change: str) -> None:
    count = len(cells)
    groups = find_near_duplicates(thumbnails_of(cells + [CHANGES[change](c) for c in cells]))
    assert (groups[:count] == groups[count:]).mean() < 0.05


def test_a_hash_alone_would_join_unlike_images(
    cells: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = thumbnails_of(cells)
    assert np.bincount(find_near_duplicates(pixels)).max() <= 2
    monkeypatch.setattr(duplicates, "_CLOSE_RESIDUAL", np.inf)
    monkeypatch.setattr(duplicates, "_MAX_RELATIVE_RESIDUAL", np.inf)
    assert np.bincount(find_near_duplicates(pixels)).max() > 10


def test_elpv_has_no_large_group() -> None:
    images = []
    for path in elpv_files():
        with Image.open(path) as image:
            images.append(make_thumbnail(image))
    sizes = np.bincount(find_near_duplicates(np.stack(images)))
    assert sizes.max() <= 0.01 * len(images)


@pytest.mark.slow
def test_steel_has_no_large_group(shared: Path) -> None:
    images = []
    for path in sorted((shared / "data" / "neu_surface_defects").rglob("*.jpg")):
        with Image.open(path) as image:
            images.append(make_thumbnail(image))
    sizes = np.bincount(find_near_duplicates(np.stack(images)))
    assert sizes.max() <= 0.01 * len(images)


def test_a_group_is_a_star_and_never_a_chain() -> None:
    # Each frame is a copy of its neighbours, and the last is nothing like the first.
    rng = np.random.default_rng(0)
    first, last = rng.integers(60, 200, (2, 16, 16)).astype(np.float64)
    mix = np.linspace(0, 1, 60)[:, None, None]
    frames = (first * (1 - mix) + last * mix).repeat(4, 1).repeat(4, 2).round().astype(np.uint8)
    assert (find_near_duplicates(frames[:2]) == 0).all()
    groups = find_near_duplicates(frames)
    assert groups[-1] != groups[0]
    for group in np.unique(groups):
        for member in np.flatnonzero(groups == group):
            assert (find_near_duplicates(frames[[group, member]]) == 0).all()


@pytest.mark.parametrize("few", [0.0, 2.0])
def test_groups_do_not_depend_on_blocks(
    cells: list[Image.Image], monkeypatch: pytest.MonkeyPatch, few: float
) -> None:
    pixels = thumbnails_of(cells + [COPIES["half size"](cell) for cell in cells])
    whole = find_near_duplicates(pixels)
    monkeypatch.setattr(duplicates, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(duplicates, "_CONFIRM_ROWS", 3)
    monkeypatch.setattr(duplicates, "_FEW_PAIRS", few)
    assert np.array_equal(find_near_duplicates(pixels), whole)


def test_fewer_pixels_rule_out_much_and_no_copy(
    cells: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (40, 64, 64), np.uint8)  # of which 8 x 8 pixels say next to nothing
    pixels = np.concatenate(
        [
            thumbnails_of(cells + [COPIES["brighter"](cell) for cell in cells]),
            fine,
            fine // 2 + 40,
            rng.integers(0, 256, (400, 8, 8), np.uint8).repeat(8, 1).repeat(8, 2),
        ]
    )
    looked_at: list[int] = []
    original = duplicates._is_alike

    def is_alike(dots: np.ndarray, *args: Any, **options: Any) -> np.ndarray:
        if options["pixels"] == 256:
            looked_at.append(len(dots))
        return original(dots, *args, **options)

    monkeypatch.setattr(duplicates, "_is_alike", is_alike)
    found = find_near_duplicates(pixels)
    few = sum(looked_at)
    looked_at.clear()
    monkeypatch.setattr(
        duplicates, "_find_least_correlations", lambda each, _: np.full(len(each.contrast), -2.0)
    )
    assert np.array_equal(find_near_duplicates(pixels), found)
    assert len(np.unique(found)) == 120 + 40 + 400
    assert few < sum(looked_at) / 5


def test_flat_images_are_no_copies_of_one_another() -> None:
    flat = np.stack([np.full((64, 64), value, np.uint8) for value in (0, 100, 255)])
    assert find_near_duplicates(flat).tolist() == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_compare(count: int) -> None:
    assert find_near_duplicates(np.zeros((count, 64, 64), np.uint8)).tolist() == list(range(count))


def test_signs_of_a_hash_count_its_bits() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 64, 64), np.uint8)
    blocks = pixels.reshape(9, 8, 8, 8, 8).astype(float).mean(axis=(2, 4))
    bits = np.concatenate(
        [np.diff(blocks, axis=2).reshape(9, -1) > 0, np.diff(blocks, axis=1).reshape(9, -1) > 0],
        axis=1,
    )
    wanted = (bits[:, None] != bits[None]).sum(axis=2)
    hashes = difference_hash(pixels)
    assert np.array_equal((112 - hashes @ hashes.T) / 2, wanted)
    assert wanted[0, 1:].min() > 20


@pytest.mark.parametrize("still", [True, False])
def test_thousands_of_images_take_seconds(still: bool) -> None:
    rng = np.random.default_rng(0)
    count = 3000
    if still:
        frame = rng.integers(0, 256, (1, 16, 16), np.uint8).repeat(4, 1).repeat(4, 2)
        pixels = frame // 2 + rng.integers(0, 3, (count, 64, 64), np.uint8)
    else:
        pixels = rng.integers(0, 256, (count, 16, 16), np.uint8).repeat(4, 1).repeat(4, 2)
    started_s = time.thread_time()
    groups = find_near_duplicates(pixels)
    # 0.4 s on an idle machine; each with each at 64 x 64 pixels would take minutes.
    assert time.thread_time() - started_s < 10
    assert len(np.unique(groups)) == (1 if still else count)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64), np.uint8)
    find_near_duplicates(pixels, progress=lambda *args: told.append(args))
    assert told[-1] == ("comparing images", 5, 5)
