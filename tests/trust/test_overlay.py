"""Heat lies over the place of the picture that it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfxfer import DataError, Preprocessing, Resize, Sample, get_modality
from tfxfer.images.decode import resize_image
from tfxfer.picture import Picture
from tfxfer.trust.overlay import fit_heat, overlay, put_side_by_side

WIDTH, HEIGHT, SIDE = 120, 60, 32


def save_photo(path: Path) -> Path:
    """A dark photo, twice as wide as high, with a bright block right of the middle, above."""
    pixels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    pixels[9:21, 66:84] = 250
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_map_of_brightness_lies_over_what_is_bright(fit: str, tmp_path: Path) -> None:
    path = save_photo(tmp_path / "a.png")
    contract = Preprocessing(resize=Resize(fit=fit))
    modality = get_modality("image")
    pixels = modality.read(Sample("a.png", path), size=SIDE, contract=contract)[0]
    heat = (pixels[..., 0] > 128).astype(np.float32)
    picture = modality.read_picture(Sample("a.png", path), contract=contract, longest_px=WIDTH)
    assert picture.size_px == (WIDTH, HEIGHT)
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    fitted = fit_heat(picture, heat)
    bright = picture.pixels[..., 0] > 128
    assert (fitted[bright] > 0.4).mean() > 0.8
    assert (fitted * ~bright).sum() < 0.5 * fitted.sum()
    assert not fitted[40:].any()
    # Taken for a map of the whole picture, that of a crop or of bars lies elsewhere.
    wrong = fit_heat(Picture(picture.pixels, picture.size_px), heat)
    assert ((wrong[bright] > 0.4).mean() > 0.8) == (fit == "stretch")


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_what_is_seen_is_what_a_resize_takes(fit: str, tmp_path: Path) -> None:
    """The frame of `read_picture` and the pixels of `read` are two statements of one thing."""
    slope = np.linspace(0, 255, WIDTH)[None, :, None].repeat(HEIGHT, 0).repeat(3, 2)
    image = Image.fromarray(slope.astype(np.uint8))
    image.save(tmp_path / "slope.png")
    resize = Resize(fit=fit)
    picture = get_modality("image").read_picture(
        Sample("s", tmp_path / "slope.png"), contract=Preprocessing(resize=resize), longest_px=WIDTH
    )
    row = resize_image(image, SIDE, resize)[SIDE // 2, :, 0]
    left, _, right, _ = picture.seen
    expected = 255 * (left + (np.arange(SIDE) + 0.5) / SIDE * (right - left))
    np.testing.assert_allclose(row[1:-1], expected[1:-1], atol=4)


def test_a_large_photo_is_shrunk_and_a_turned_one_is_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    picture = get_modality("image").read_picture(
        Sample("a", tmp_path / "a.jpg"), contract=Preprocessing(), longest_px=30
    )
    assert (picture.size_px, picture.pixels.shape) == ((200, 300), (30, 20, 3))


def test_the_warmest_place_is_covered_and_the_coldest_is_not() -> None:
    picture = Picture(np.full((8, 8, 3), 100, np.uint8), (8, 8))
    heat = np.zeros((2, 2), np.float32)
    heat[0, 0] = 1
    found = overlay(picture, heat, strength=1.0)
    assert found.dtype == np.uint8
    assert found[0, 0].tolist() == [252, 255, 164]  # the warm end of inferno
    assert found[7, 7].tolist() == [100, 100, 100]
    assert (overlay(picture, 0 * heat) == picture.pixels).all()


def test_side_by_side() -> None:
    red, blue = np.zeros((2, 50, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = put_side_by_side([red, blue], ["a label that is much too long for it", "b"])
    assert sheet.shape[1] == 88
    assert (sheet[-50:, :40] == red).all()
    assert (sheet[-50:, 48:] == blue).all()
    assert (sheet[:-50] < 128).any()
    assert (sheet[:-50, 40:48] == 255).all()  # the caption ends where its picture does


def test_a_modality_without_pictures_says_so() -> None:
    from tfxfer import Modality

    with pytest.raises(DataError, match="expected a picture"):
        Modality.read_picture(
            get_modality("image"), Sample("a"), contract=Preprocessing(), longest_px=9
        )
