from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import ImageError
from tfxfer.images import decode
from tfxfer.images.content import DecodeError
from tfxfer.images.decode import (
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    open_image,
    probe_image,
    resize_image,
)
from tfxfer.images.quiet import quiet_pillow
from tfxfer.preprocessing import Resize

Picture = Callable[..., Image.Image]


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def difference(first: Image.Image | np.ndarray, second: Image.Image | np.ndarray) -> float:
    return float(np.abs(np.asarray(first, np.float64) - np.asarray(second, np.float64)).mean())


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds a few bytes."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + struct.pack(">I", len(data) - 4)
        + data
        + struct.pack(">I", zlib.crc32(data))
    )


@pytest.mark.parametrize(
    ("form", "most"), [("PNG", 0), ("BMP", 0), ("TIFF", 0), ("JPEG", 6), ("WEBP", 8), ("GIF", 12)]
)
def test_reads_every_format(photo: Image.Image, form: str, most: float) -> None:
    image = open_image(encode(photo, form))
    assert image.mode == "RGB"
    assert image.size == photo.size
    assert difference(image, photo) <= most
    turned = photo.transpose(Image.Transpose.ROTATE_180)
    assert difference(image, turned) > 2 * max(most, 1)


def test_reads_a_path(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "näme with spaces.png"
    picture(1).save(path)
    assert difference(open_image(path), picture(1)) == 0
    assert difference(open_image(str(path)), picture(2)) > 10


def test_16_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(4, 0)
    content = encode(Image.fromarray(ramp), "PNG")
    values = np.asarray(open_image(content))
    assert np.abs(values[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    # What Pillow alone does with them.
    with Image.open(io.BytesIO(content)) as image:
        clipped = np.clip(np.asarray(image, np.int64), 0, 255)
    assert np.abs(clipped[0] - np.arange(256)).max() > 100


def test_16_bit_tiff_of_either_byte_order() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    for order in ("<u2", ">u2"):
        image = Image.frombytes(
            "I;16B" if order == ">u2" else "I;16", (256, 4), ramp.astype(order).tobytes()
        )
        values = np.asarray(open_image(encode(image, "TIFF")))
        assert np.abs(values[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_float_pixels_are_refused() -> None:
    image = Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    with pytest.raises(DecodeError, match="8 or 16 bits per channel") as caught:
        open_image(encode(image, "TIFF"))
    assert caught.value.kind == "unsupported"


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours(picture: Picture, mode: str) -> None:
    image = picture(3).convert(mode)
    assert difference(open_image(encode(image, "PNG")), image.convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white(mode: str) -> None:
    image = Image.new(mode, (8, 8))  # black below, and fully transparent
    assert np.asarray(open_image(encode(image, "PNG"))).min() == 255
    opaque = Image.new(mode, (8, 8))
    opaque.putalpha(255)
    assert np.asarray(open_image(encode(opaque, "PNG"))).max() == 0


def test_half_transparent_pixels_are_mixed() -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 128))
    red, green, _ = np.asarray(open_image(encode(image, "PNG")))[0, 0].astype(int)
    assert abs(red - 227) <= 1
    assert abs(green - 127) <= 1


def test_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    for form in ("PNG", "GIF"):
        pixels = np.asarray(open_image(encode(image, form, transparency=0)))
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[4, 4].tolist() == [10, 20, 30]


def test_cmyk_is_not_inverted() -> None:
    # Adobe's tools store CMYK inverted, and Pillow writes it so.
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    content = encode(red, "JPEG", quality=95)
    assert b"Adobe" in content
    pixels = np.asarray(open_image(content)).reshape(-1, 3).mean(axis=0)
    assert pixels[0] > 240
    assert pixels[1:].max() < 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(photo: Image.Image, orientation: int) -> None:
    turns = Image.Transpose
    stored = {
        1: None,
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }[orientation]
    small = photo.resize((64, 48))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(small if stored is None else small.transpose(stored), "PNG", exif=exif)
    assert difference(open_image(content), small) == 0
    assert difference(open_image(content), small.transpose(turns.ROTATE_180)) > 10


def test_damaged_exif_is_no_reason_to_refuse(photo: Image.Image) -> None:
    content = encode(photo, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\1\2")
    assert open_image(content).size == photo.size


def test_first_frame_of_an_animation(picture: Picture) -> None:
    frames = [picture(n).convert("P") for n in range(3)]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert difference(open_image(content), frames[0].convert("RGB")) < 1
    assert difference(open_image(content), frames[1].convert("RGB")) > 10


def test_large_jpegs_are_decoded_smaller_but_not_too_small(photo: Image.Image) -> None:
    content = encode(photo.resize((2048, 1366)), "JPEG", quality=95)
    assert open_image(content).size == (2048, 1366)
    small = open_image(content, min_side_px=224)
    assert small.size == (512, 342)
    full = resize_image(open_image(content), 224)
    assert difference(resize_image(small, 224), full) < 2.5
    # Less than the side that is needed is what the margin guards against.
    too_small = photo.resize((128, 86)).resize((224, 224))
    assert difference(too_small, full) > 3.0


def test_probe_tells_the_stored_size(photo: Image.Image) -> None:
    content = encode(photo.resize((2048, 1366)), "JPEG")
    probe = probe_image(content, min_side_px=64)
    assert probe.size == (2048, 1366)
    assert probe.image.size == (256, 171)
    assert (probe.format, probe.content) == ("JPEG", content)


@pytest.mark.parametrize("size", [(60_000, 60_000), (20_000, 6_001)])
def test_bombs_are_refused_from_their_header(size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MAX_PIXELS
    with pytest.raises(DecodeError, match="expected at most 120,000,000 pixels") as caught:
        open_image(png_header(*size))
    assert caught.value.kind == "bomb"


def test_the_limit_is_the_callers(photo: Image.Image) -> None:
    content = encode(photo, "PNG")
    with pytest.raises(ImageError, match="640x427"):
        open_image(content, max_pixels=640 * 427 - 1)
    assert open_image(content, max_pixels=640 * 427).size == (640, 427)


@pytest.mark.parametrize("min_side_px", [None, 100])
@pytest.mark.parametrize("turn", [1, 6])
def test_a_jpeg_of_more_pixels_than_are_held_is_decoded_at_half_its_sides(
    min_side_px: int | None, turn: int, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As 200 megapixels are to 120.
    monkeypatch.setattr(decode, "MAX_PIXELS", 120_000)
    monkeypatch.setattr(decode, "MAX_JPEG_PIXELS", 240_000)
    large = photo.resize((501, 399))
    exif = Image.Exif()
    exif[0x0112] = turn
    content = encode(large, "JPEG", exif=exif)
    probe = probe_image(content, min_side_px=min_side_px)
    assert probe.size == (501, 399)
    half = (251, 200)
    assert probe.image.size == (half if turn == 1 else half[::-1])
    whole = open_image(content, max_pixels=10**6)
    assert difference(probe.image.resize((64, 64)), whole.resize((64, 64))) < 4
    # One that is held whole is read whole, and no other format is reduced.
    assert open_image(encode(photo.resize((400, 300)), "JPEG")).size == (400, 300)
    with pytest.raises(ImageError, match="at most 120,000 pixels"):
        open_image(encode(large, "PNG"))
    with pytest.raises(ImageError, match="at most 240,000 pixels"):
        open_image(encode(photo.resize((501, 480)), "JPEG"))


def test_pillow_gets_its_limit_back(photo: Image.Image) -> None:
    before = Image.MAX_IMAGE_PIXELS
    with quiet_pillow(), quiet_pillow():
        assert Image.MAX_IMAGE_PIXELS == MAX_JPEG_PIXELS // 2
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_files(photo: Image.Image, form: str, kept: float) -> None:
    content = encode(photo, form)
    with pytest.raises(DecodeError) as caught:
        open_image(content[: int(len(content) * kept)])
    assert caught.value.kind == "corrupt"


def test_truncation_is_seen_at_reduced_scale(photo: Image.Image) -> None:
    content = encode(photo.resize((2048, 1366)), "JPEG")
    with pytest.raises(ImageError, match="truncated"):
        open_image(content[: int(len(content) * 0.9)], min_side_px=64)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"hello, this is text", "corrupt"),
        (b"\0" * 500, "corrupt"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "corrupt"),
        (b"%PDF-1.4\n", "corrupt"),
        (png_header(0, 8), "corrupt"),
        (b"\xff\xd8\xff\xe0", "corrupt"),
        (b"P6 2 2 255 123456789012", "unsupported"),
    ],
)
def test_what_is_no_image(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(DecodeError) as caught:
        open_image(path)
    assert caught.value.kind == kind
    assert "x.jpg" in str(caught.value)
    assert "expected" in str(caught.value)
    assert "Received" in str(caught.value)


def test_damaged_bytes_never_escape_as_another_error(photo: Image.Image) -> None:
    rng = np.random.default_rng(0)
    small = photo.resize((40, 30))
    for form in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"):
        content = np.frombuffer(encode(small, form), np.uint8)
        for _ in range(60):
            broken = content.copy()
            where = rng.integers(0, min(len(broken), 300), 4)
            broken[where] = rng.integers(0, 256, 4)
            with contextlib.suppress(ImageError):
                assert open_image(broken.tobytes()).mode == "RGB"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    for name in ("pipe.jpg", "folder.jpg", "link.jpg", "missing.jpg", "nul\0.jpg", "x" * 300):
        with pytest.raises(DecodeError) as caught:
            open_image(tmp_path / name)
        assert caught.value.kind == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "x.png"
    picture(1).save(path)
    path.chmod(stat.S_IWUSR)
    with pytest.raises(ImageError, match="Permission denied"):
        open_image(path)


def test_warnings_of_pillow_are_silenced_and_others_are_not() -> None:
    before = list(warnings.filters)
    with quiet_pillow(), quiet_pillow():
        warnings.warn_explicit("of Pillow", UserWarning, "x.py", 1, module="PIL.PngImagePlugin")
        with pytest.raises(UserWarning, match="of mine"):
            warnings.warn_explicit("of mine", UserWarning, "x.py", 1, module="mine")
    assert list(warnings.filters) == before


def test_filters_are_whole_after_many_threads(picture: Picture) -> None:
    before = list(warnings.filters)
    content = encode(picture(1), "PNG")
    threads = [
        threading.Thread(target=lambda: [open_image(content) for _ in range(30)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def sample_plainly(pixels: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with half-pixel centres and no antialiasing, as TensorFlow defines it."""
    height, width = pixels.shape[:2]
    down = np.clip((np.arange(size) + 0.5) * height / size - 0.5, 0, height - 1)
    across = np.clip((np.arange(size) + 0.5) * width / size - 0.5, 0, width - 1)
    top, left = np.floor(down).astype(int), np.floor(across).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    dy, dx = (down - top)[:, None, None], (across - left)[None, :, None]
    grid = pixels.astype(np.float64)
    upper = grid[top][:, left] * (1 - dx) + grid[top][:, right] * dx
    lower = grid[bottom][:, left] * (1 - dx) + grid[bottom][:, right] * dx
    return upper * (1 - dy) + lower * dy


def test_resize_without_antialiasing_is_what_phones_do(photo: Image.Image) -> None:
    wanted = sample_plainly(np.asarray(photo), 100)
    plain = resize_image(photo, 100, Resize(antialias=False))
    assert np.abs(plain - wanted).max() < 1.01
    smooth = resize_image(photo, 100, Resize(antialias=True))
    assert np.abs(smooth - wanted).mean() > 3


def test_nearest_takes_pixels_as_they_are(photo: Image.Image) -> None:
    # At 256 no centre falls on the border of two pixels.
    square = resize_image(photo, 256, Resize(method="nearest", antialias=False))
    rows = ((np.arange(256) + 0.5) * 427 / 256).astype(int)
    columns = ((np.arange(256) + 0.5) * 640 / 256).astype(int)
    assert np.array_equal(square, np.asarray(photo)[rows][:, columns])


def test_fits(photo: Image.Image) -> None:
    size = 64
    stretch, crop, pad = (
        resize_image(photo, size, Resize(fit=f)) for f in ("stretch", "crop", "pad")
    )
    assert stretch.shape == crop.shape == pad.shape == (size, size, 3)
    middle = photo.crop(((640 - 427) // 2, 0, (640 - 427) // 2 + 427, 427))
    assert difference(crop, resize_image(middle, size)) < 1
    assert difference(crop, stretch) > 5
    inner = round(size * 427 / 640)
    above = (size - inner) // 2
    assert pad[:above].max() == 0
    assert pad[above + inner :].max() == 0
    wanted = photo.resize((size, inner), Image.Resampling.BILINEAR)
    assert difference(pad[above : above + inner], np.asarray(wanted)) == 0


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "nearest", "area"])
@pytest.mark.parametrize("antialias", [True, False])
def test_every_resize_keeps_one_colour(fit: str, method: str, antialias: bool) -> None:
    resize = Resize(fit=fit, method=method, antialias=antialias)
    for size in ((1, 1), (300, 2), (7, 9)):
        square = resize_image(Image.new("RGB", size, (9, 200, 77)), 16, resize)
        assert square.dtype == np.uint8
        assert square[8, 8].tolist() == [9, 200, 77] or fit == "pad"
        assert square.max() == 200


def test_the_same_size_is_the_same_image(photo: Image.Image) -> None:
    square = photo.crop((0, 0, 200, 200))
    for antialias in (True, False):
        pixels = resize_image(square, 200, Resize(antialias=antialias))
        assert np.array_equal(pixels, np.asarray(square))


def test_a_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(tmp_path)
    assert str(caught.value).count("expected") == 1
    assert "Received: a folder." in str(caught.value)


def test_a_file_too_large_for_any_photo_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    with pytest.raises(DecodeError, match="21,474,836,480 bytes") as caught:
        open_image(path)
    assert caught.value.kind == "bomb"
