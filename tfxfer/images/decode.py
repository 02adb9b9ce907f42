"""A file or its bytes → 8-bit RGB pixels, whatever the camera, scanner or web site wrote."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from tfxfer.images.bombs import describe_bomb
from tfxfer.images.colours import (
    FAULTS,
    find_turn,
    flatten_to_rgb,
    read_grey,
    scale_image,
)
from tfxfer.images.content import (
    DecodeError,
    make_bomb,
    make_fault,
    make_unsupported,
    read_content,
)
from tfxfer.images.depth import (
    FULL_WHITE,
    can_read_deep,
    is_cut,
    read_deep,
)
from tfxfer.images.formats import FORMATS, HEAD_BYTES, HEIC, detect_unread
from tfxfer.images.heif import open_heif
from tfxfer.images.png_text import strip_text
from tfxfer.images.quiet import quiet_pillow
from tfxfer.preprocessing import Resize
from tfxfer.system.threads import call_beside

__all__ = [
    "MAX_JPEG_PIXELS",
    "MAX_PIXELS",
    "Probe",
    "find_seen",
    "open_image",
    "probe_image",
    "resize_image",
    "sample_box",
]

MAX_PIXELS = 120_000_000
"""Lets the 12,000 x 9,000 photos of current phones in; 360 MB as RGB is what a machine can bear."""

MAX_JPEG_PIXELS = 240_000_000
"""Of a JPEG, which above `MAX_PIXELS` is decoded at half its sides, so that its pixels take no more
than a quarter. Sensors of phones end at 200 million, 16,320 x 12,240; the time to decode one, which
no reduction saves, ends here at twice what the largest other photo takes."""

_DRAFT_MARGIN = 1.4
"""A JPEG is decoded at no less than this multiple of the side that is needed: light crops, down to
0.67 of a side, then hardly ever enlarge. Against a full decode the resized square differs by 0.6 to
2.4 grey levels of 255 on five sample photos, at a multiple of 2 by 0.4 to 1.7; but 2 decodes a
2,000 px photo at a half for 224 px (5.1 ms), and 1.4 at a quarter (3.9 ms; full: 7.0 ms)."""

# Of modes that do not have 8 bits for each channel.
_BITS = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16}

_METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "area": Image.Resampling.BOX,
}


def open_image(
    path_or_bytes: str | Path | bytes,
    *,
    min_side_px: int | None = None,
    max_pixels: int | None = None,
    white: int | None = FULL_WHITE,
) -> Image.Image:
    """Returns the image as 8-bit RGB, upright.

    Reads JPEG, PNG, BMP, GIF (the first frame), WebP and TIFF, with 8 or 16 bits, and HEIC where
    pillow-heif is installed. Transparent images are laid on white: that is what browsers and
    viewers show, while the colour stored under a transparent pixel is arbitrary.

    Args:
        path_or_bytes: a file, or the content of one.
        min_side_px: side of the square that the caller will resize to. Large JPEGs are then
            decoded at a half, a quarter or an eighth, never below 1.4 times this side. None
            decodes at full size, which a resize without antialiasing needs.
        max_pixels: larger images are refused from their header, before pixels are allocated. None
            is 120 million; a JPEG may then have 240 million, and is decoded at a half or less of
            its sides above 120.
        white: value of white in files with more than 8 bits a channel; None takes the fewest usual
            bits that hold the file's own values.

    Raises:
        ImageError: not a readable image, or a larger one.
    """
    return probe_image(
        path_or_bytes, min_side_px=min_side_px, max_pixels=max_pixels, white=white
    ).image


@dataclass(frozen=True, eq=False)
class Probe:
    """An image together with what its file says of it.

    Args:
        image: 8-bit RGB, upright.
        content: the file's bytes.
        format: Pillow's name of the format, whatever the file is called.
        size: width and height in pixels as stored, before any reduction.
        deep: all values of a file with more than 8 bits a channel, as stored; None for any other.
        is_cut: whether the file has 16 bits a channel, of which only 8 could be read.

    Shapes: deep uint16 (height, width), or (height, width, 3 or 4).
    """

    image: Image.Image
    content: bytes
    format: str
    size: tuple[int, int]
    deep: np.ndarray | None = None
    is_cut: bool = False


def probe_image(
    path_or_bytes: str | Path | bytes,
    *,
    min_side_px: int | None = None,
    max_pixels: int | None = None,
    white: int | None = FULL_WHITE,
) -> Probe:
    """Returns what `open_image` returns, with the facts that an audit needs beside it."""
    name, content = read_content(path_or_bytes)

    def probe(readable: bytes) -> Probe:
        return _probe_content(
            name, content, readable, min_side_px=min_side_px, max_pixels=max_pixels, white=white
        )

    try:
        return call_beside(lambda: probe(content))
    except DecodeError as error:
        # Large texts and colour profiles are refused by Pillow, and say nothing about the pixels.
        stripped = strip_text(content) if error.kind == "corrupt" else None
        if stripped is None:
            raise
        return call_beside(lambda: probe(stripped))


def _probe_content(
    name: str,
    content: bytes,
    readable: bytes,
    *,
    min_side_px: int | None,
    max_pixels: int | None,
    white: int | None,
) -> Probe:
    with quiet_pillow():
        try:
            with _open_content(name, readable) as image:
                form, size = image.format or "", image.size
                _refuse_bomb(image, name, content, max_pixels)
                _reduce(image, min_side_px, max_pixels)
                deep, cut = _read_deep(image, name, readable)
                turn = find_turn(image)
                flat = flatten_to_rgb(image if deep is None else scale_image(deep, white))
            # What was read is let go before it is turned: both are copies of all pixels.
            del image
            return Probe(
                flat if turn is None else flat.transpose(turn), content, form, size, deep, cut
            )
        except Image.DecompressionBombError:
            # Pillow's own limit comes first for the largest, and it names no size.
            raise make_bomb(name, "larger", max_pixels or MAX_PIXELS) from None
        except DecodeError:
            raise
        except UnidentifiedImageError:
            raise make_fault(
                name,
                "corrupt",
                expected=f"one of the formats {', '.join(FORMATS)}",
                received=f"{len(content)} bytes that start with {content[:8]!r}",
            ) from None
        except FAULTS as error:
            words = str(error) or type(error).__name__
            kind = detect_unread(content[:HEAD_BYTES])
            what = "file" if kind is None else f"{kind} photo"
            raise make_fault(
                name, "corrupt", expected="a complete image", received=f"a damaged {what} ({words})"
            ) from error


def _reduce(image: Image.Image, min_side_px: int | None, max_pixels: int | None) -> None:
    """Has a JPEG decoded at fewer pixels than it has, where all of them are not needed or wanted.

    Args:
        image: opened, not yet read.
        min_side_px: see `open_image`.
        max_pixels: the same.
    """
    width, height = image.size
    across, down = width, height
    if min_side_px is not None:
        across = down = math.ceil(_DRAFT_MARGIN * min_side_px)
    if max_pixels is None and width * height > MAX_PIXELS:
        across, down = min(across, width // 2), min(down, height // 2)
    if (across, down) != (width, height):
        image.draft(None, (across, down))


def _count_coefficients(image: JpegImageFile) -> int:
    """Returns how many bytes libjpeg holds of a JPEG that it cannot decode row by row."""
    blocks = [across * down for _, across, down, *_ in image.layer]
    widest = max(across for _, across, *_ in image.layer)
    tallest = max(down for _, _, down, *_ in image.layer)
    return 2 * image.width * image.height * sum(blocks) // (widest * tallest)


def _refuse_bomb(image: Image.Image, name: str, content: bytes, max_pixels: int | None) -> None:
    """Refuses what its header says costs too much, before a pixel is decoded.

    Raises:
        DecodeError: it does.
    """
    width, height = image.size
    if max_pixels is None:
        max_pixels = MAX_JPEG_PIXELS if isinstance(image, JpegImageFile) else MAX_PIXELS
    if width * height > max_pixels:
        raise make_bomb(name, f"{width}x{height}", max_pixels)
    deep = can_read_deep(image) or image.mode.startswith("I")
    bits = _BITS.get(image.mode, (16 if deep else 8) * len(image.getbands()))
    held_bytes = _count_coefficients(image) if isinstance(image, JpegImageFile) else 0
    bomb = describe_bomb(
        content, image.size, bits, form=image.format or "", is_deep=deep, held_bytes=held_bytes
    )
    if bomb is not None:
        raise make_fault(name, "bomb", expected="a photo", received=bomb)


def _read_deep(image: Image.Image, name: str, readable: bytes) -> tuple[np.ndarray | None, bool]:
    """Reads the pixels, and returns the values of a file with more than 8 bits a channel.

    Returns:
        The values, or None; and whether there are more bits than could be read.
    """
    cut = is_cut(image)
    if cut and can_read_deep(image):
        with _open_content(name, readable) as again:
            return read_deep(image, again), False
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return read_grey(image, name), cut
    return None, cut


def _open_content(name: str, content: bytes) -> Image.Image:
    if detect_unread(content[:HEAD_BYTES]) != HEIC:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    image = open_heif(content)
    if image is None:
        raise make_unsupported(name, HEIC)
    return image


def find_seen(width: int, height: int, resize: Resize) -> tuple[float, float, float, float]:
    """Returns which part of a photo `resize_image` makes a square of.

    Returns:
        Left, top, right and bottom as fractions of the photo; beyond 0..1 where black is added.
    """
    if resize.fit == "stretch":
        return (0.0, 0.0, 1.0, 1.0)
    side = min(width, height) if resize.fit == "crop" else max(width, height)
    across, down = side / width, side / height
    return ((1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2)


def resize_image(image: Image.Image, size_px: int, resize: Resize | None = None) -> np.ndarray:
    """Returns the image as a square.

    Without antialiasing each output pixel is interpolated between the pixels around its centre
    alone, as TensorFlow and most phones do it; `area` always averages.

    Shapes: uint8 (size_px, size_px, 3).
    """
    resize = resize or Resize()
    width, height = image.size
    if resize.fit == "pad":
        longest = max(width, height)
        inner = (
            max(1, round(size_px * width / longest)),
            max(1, round(size_px * height / longest)),
        )
        square = Image.new("RGB", (size_px, size_px))
        part = sample_box(image, inner, (0, 0, width, height), resize.method, resize.antialias)
        square.paste(part, ((size_px - inner[0]) // 2, (size_px - inner[1]) // 2))
        return np.array(square)
    box = (0.0, 0.0, float(width), float(height))
    if resize.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return np.array(sample_box(image, (size_px, size_px), box, resize.method, resize.antialias))


def sample_box(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    method: str,
    antialias: bool,
    *,
    reducing_gap: float | None = None,
) -> Image.Image:
    """Returns the pixels inside `box` at another size, cropped and resized in one step."""
    if antialias or method == "area":
        return image.resize(size, _METHODS[method], box=box, reducing_gap=reducing_gap)
    # Pillow's `resize` always widens its filter when it shrinks; an affine transform never does.
    left, top, right, bottom = box
    matrix = ((right - left) / size[0], 0.0, left, 0.0, (bottom - top) / size[1], top)
    return image.transform(size, Image.Transform.AFFINE, matrix, resample=_METHODS[method])
