"""A file or its bytes → 8-bit RGB pixels, whatever the camera, scanner or web site wrote."""

from __future__ import annotations

import io
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from tfxfer.errors import ImageError
from tfxfer.preprocessing import Resize

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "DecodeError",
    "Probe",
    "open_image",
    "probe_image",
    "quiet_pillow",
    "resize_image",
    "sample_box",
]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""The only parsers that ever see a file: EPS and PDF would start other programs."""

MAX_PIXELS = 120_000_000
"""Lets the 12,000 x 9,000 photos of current phones in; 360 MB as RGB is what a machine can bear."""

_DRAFT_MARGIN = 1.4
"""A JPEG is decoded at no less than this multiple of the side that is needed: light crops, down to
0.67 of a side, then hardly ever enlarge. Against a full decode the resized square differs by 0.6 to
2.4 grey levels of 255 on five sample photos, at a multiple of 2 by 0.4 to 1.7; but 2 decodes a
2,000 px photo at a half for 224 px (5.1 ms), and 1.4 at a quarter (3.9 ms; full: 7.0 ms)."""

_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's parsers raise on damaged files; OSError covers its own UnidentifiedImageError.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)

_METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "area": Image.Resampling.BOX,
}


class DecodeError(ImageError):
    """An `ImageError` that also says which kind of problem the audit should call it.

    Args:
        message: what the user reads.
        kind: `corrupt`, `empty`, `unreadable` or `bomb`.
        detail: the same without the file's name, for tables that have a column for that.
    """

    def __init__(self, message: str, *, kind: str, detail: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


class _Quiet:
    """Counts the decoders at work, since `warnings.catch_warnings` is not safe between threads."""

    lock = threading.Lock()
    depth = 0
    entry: Any = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's own warnings while any thread is inside; safe to nest and to share.

    Damaged EXIF blocks and odd headers are warned about by Pillow; what matters of that is in the
    audit, and the rest must not appear in the middle of a progress bar.
    """
    with _Quiet.lock:
        _Quiet.depth += 1
        if _Quiet.depth == 1:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _Quiet.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.depth -= 1
            # Only our own entry is taken out: somebody else may have added filters since.
            if _Quiet.depth == 0 and _Quiet.entry in warnings.filters:
                cast("list[Any]", warnings.filters).remove(_Quiet.entry)


def open_image(
    path_or_bytes: str | Path | bytes,
    *,
    min_side_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Returns the image as 8-bit RGB, upright.

    Reads JPEG, PNG, BMP, GIF (the first frame), WebP and TIFF, with 8 or 16 bits. Transparent
    images are laid on white: that is what browsers and viewers show, while the colour stored under
    a transparent pixel is arbitrary.

    Args:
        path_or_bytes: a file, or the content of one.
        min_side_px: side of the square that the caller will resize to. Large JPEGs are then
            decoded at a half, a quarter or an eighth, never below 1.4 times this side. None
            decodes at full size, which a resize without antialiasing needs.
        max_pixels: larger images are refused from their header, before pixels are allocated.

    Raises:
        ImageError: not a readable image, or larger than `max_pixels`.
    """
    return probe_image(path_or_bytes, min_side_px=min_side_px, max_pixels=max_pixels).image


@dataclass(frozen=True, eq=False)
class Probe:
    """An image together with what its file says of it.

    Args:
        image: 8-bit RGB, upright.
        content: the file's bytes.
        format: Pillow's name of the format, whatever the file is called.
        size: width and height in pixels as stored, before any reduction.
    """

    image: Image.Image
    content: bytes
    format: str
    size: tuple[int, int]


def probe_image(
    path_or_bytes: str | Path | bytes,
    *,
    min_side_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Probe:
    """Returns what `open_image` returns, with the facts that an audit needs beside it."""
    name, content = _read_content(path_or_bytes)
    with quiet_pillow():
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                form, size = image.format or "", image.size
                if size[0] * size[1] > max_pixels:
                    raise _bomb(name, f"{size[0]}x{size[1]}", max_pixels)
                if min_side_px is not None:
                    side = math.ceil(_DRAFT_MARGIN * min_side_px)
                    image.draft(None, (side, side))
                image.load()
                return Probe(_to_rgb(_apply_orientation(image), name), content, form, size)
        except Image.DecompressionBombError:
            # Pillow's own limit comes first for the largest, and it names no size.
            raise _bomb(name, "larger", max_pixels) from None
        except DecodeError:
            raise
        except UnidentifiedImageError:
            raise _fault(
                name,
                "corrupt",
                expected=f"one of the formats {', '.join(FORMATS)}",
                received=f"{len(content)} bytes that start with {content[:8]!r}",
            ) from None
        except _FAULTS as error:
            words = str(error) or type(error).__name__
            raise _fault(
                name, "corrupt", expected="a complete image", received=f"a damaged file ({words})"
            ) from error


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


def _read_content(path_or_bytes: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(path_or_bytes, bytes):
        name, content = "the given bytes", path_or_bytes
    else:
        path = Path(path_or_bytes)
        name = f"image {str(path)!r}"
        try:
            # A named pipe or a device would be read for ever.
            if path.exists() and not path.is_file():
                kind = "a folder" if path.is_dir() else "no regular file"
                raise _fault(name, "unreadable", expected="a file", received=kind)
            content = path.read_bytes()
        except DecodeError:
            raise
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise _fault(
                name, "unreadable", expected="a file that can be read", received=words
            ) from error
    if not content:
        raise _fault(name, "empty", expected="an image", received="0 bytes")
    return name, content


def _apply_orientation(image: Image.Image) -> Image.Image:
    try:
        turn = _ORIENTATIONS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except _FAULTS:
        # A damaged EXIF block says nothing about the pixels, which are fine.
        return image
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bit(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    # Converting RGB to RGB would copy it: 0.1 ms for a photo that is resized a moment later.
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    # Pillow's own conversion clips at 255, which turns most of a 16-bit scan white.
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise _fault(
            name,
            "corrupt",
            expected="8 or 16 bits per channel",
            received=f"mode {image.mode!r}, values {values.min()} to {values.max()}",
        )
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _fault(name: str, kind: str, *, expected: str, received: str) -> DecodeError:
    return DecodeError(
        f"{name}: expected {expected}. Received: {received}. Replace or remove the file.",
        kind=kind,
        detail=received,
    )


def _bomb(name: str, size: str, max_pixels: int) -> DecodeError:
    return DecodeError(
        f"{name}: expected at most {max_pixels:,} pixels. Received: {size}. "
        "Scale the image down, or remove it.",
        kind="bomb",
        detail=f"{size} pixels, more than {max_pixels:,}"
        if size != "larger"
        else f"more than {max_pixels:,} pixels",
    )
