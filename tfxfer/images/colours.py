"""Pixels as a file stores them → 8-bit RGB, upright."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from tfxfer.images.bands import convert_bands, list_bands
from tfxfer.images.content import make_fault
from tfxfer.images.depth import FULL_WHITE, find_white, scale_deep

__all__ = ["FAULTS", "find_turn", "flatten_to_rgb", "read_grey", "scale_image"]

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
FAULTS = (
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


def find_turn(tagged: Image.Image) -> Image.Transpose | None:
    """Returns what makes an image upright, as the tags of its file say; None where it is."""
    try:
        return _ORIENTATIONS.get(tagged.getexif().get(_ORIENTATION_TAG, 1))
    except FAULTS:
        # A damaged EXIF block says nothing about the pixels, which are fine.
        return None


def flatten_to_rgb(image: Image.Image) -> Image.Image:
    """Returns an image as RGB, laid on white where it is transparent."""
    if image.has_transparency_data:
        return convert_bands(image, _lay_on_white)
    # Converting RGB to RGB would copy it: 0.1 ms for a photo that is resized a moment later.
    return image if image.mode == "RGB" else image.convert("RGB")


def _lay_on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


def scale_image(deep: np.ndarray, white: int | None) -> Image.Image:
    """Returns an image of 8 bits a channel.

    Args:
        deep: of 16.
        white: what becomes 255; None takes the fewest usual bits that hold the values.

    Shapes: deep uint16 (height, width), or (height, width, 3 or 4).
    """
    colours = deep[..., :3] if deep.ndim == 3 else deep
    white = find_white(int(colours.max())) if white is None else white
    scaled = np.empty(deep.shape, np.uint8)
    for top, bottom in list_bands(deep.shape[1], deep.shape[0]):
        rows = slice(top, bottom)
        if deep.ndim == 2:
            scaled[rows] = scale_deep(deep[rows], white)
            continue
        scaled[rows, :, :3] = scale_deep(deep[rows, :, :3], white)
        # Opacity has no sensor: 16 bits of it are 16 bits.
        scaled[rows, :, 3:] = scale_deep(deep[rows, :, 3:], FULL_WHITE)
    return Image.fromarray(scaled)


def read_grey(image: Image.Image, name: str) -> np.ndarray:
    """Returns the values of an image of one deep channel.

    Raises:
        DecodeError: they are no whole numbers of 16 bits.

    Shapes: uint16 (height, width).
    """
    # Pillow's own conversion clips at 255, which turns most of a 16-bit scan white.
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > FULL_WHITE:
        raise make_fault(
            name,
            "unsupported",
            expected="8 or 16 bits per channel",
            received=f"mode {image.mode!r}, values {values.min():g} to {values.max():g}, which are "
            "not read: convert it to 8 or 16 bits",
        )
    return values.astype(np.uint16, copy=False)
