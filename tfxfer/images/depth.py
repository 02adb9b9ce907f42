"""Files with more than 8 bits a channel: their values, and the 8 bits that a network takes.

A sensor of 12 bits writes 0..4095 into files of 16. Taken for sixteenths of the whole range they
would keep five grey levels, so white is what the data set uses, rounded up to a whole number of
bits.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image

from tfxfer.images.bands import list_bands

__all__ = ["FULL_WHITE", "can_read_deep", "find_white", "is_cut", "read_deep", "scale_deep"]

FULL_WHITE = 65_535
# N is the order of this machine.
_FOREIGN = "B" if sys.byteorder == "little" else "L"
_SWAPPED = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", _FOREIGN))
}

_WHITES = (255, 1_023, 4_095, 16_383, FULL_WHITE)


def find_white(peak: int) -> int:
    """Returns the largest value of the fewest usual bits that hold `peak`: 8, 10, 12, 14 or 16.

    Example:
        >>> find_white(4007), find_white(4096), find_white(65535)
        (4095, 16383, 65535)
    """
    return next(white for white in _WHITES if peak <= white)


def scale_deep(values: np.ndarray, white: int) -> np.ndarray:
    """Returns values as 8 bits; what is beyond white becomes white.

    Shapes: any, uint16 in and uint8 out.
    """
    wide = np.minimum(values, white).astype(np.uint32)
    return ((wide * 255 + white // 2) // white).astype(np.uint8)


def is_cut(image: Image.Image) -> bool:
    """Returns whether Pillow reads 16 bits a channel as their upper 8.

    Args:
        image: opened and not loaded yet.
    """
    deep = any(";16" in _find_rawmode(tile) for tile in getattr(image, "tile", ()))
    return deep and not image.mode.startswith("I")


def can_read_deep(image: Image.Image) -> bool:
    """Returns whether `read_deep` gets all bits of an image that `is_cut`."""
    tiles = getattr(image, "tile", ())
    return bool(tiles) and all(_find_rawmode(tile) in _SWAPPED for tile in tiles)


def read_deep(image: Image.Image, again: Image.Image) -> np.ndarray:
    """Returns all 16 bits of a colour image; both are loaded.

    Pillow unpacks the first or the second byte of each value, as the order of bytes says. Read once
    in each order, it gives both.

    Args:
        image: opened and not loaded yet, for which `can_read_deep` holds.
        again: the same file, opened once more.

    Shapes: uint16 (height, width, 3 or 4).
    """
    lower: Any = again
    lower.tile = [_swap_order(tile) for tile in lower.tile]
    image.load()
    lower.load()
    width, height = image.size
    values = np.empty((height, width, len(image.getbands())), np.uint16)
    for top, bottom in list_bands(width, height):
        high, low = (
            np.asarray(half.crop((0, top, width, bottom)), np.uint16) for half in (image, lower)
        )
        values[top:bottom] = (high << 8) | low
    return values


def _find_rawmode(tile: Any) -> str:
    args = tile[3]
    return str(args[0] if isinstance(args, tuple) else args)


def _swap_order(tile: Any) -> Any:
    codec, extents, offset, args = tile
    swapped = _SWAPPED[_find_rawmode(tile)]
    return type(tile)(
        codec, extents, offset, (swapped, *args[1:]) if isinstance(args, tuple) else swapped
    )
