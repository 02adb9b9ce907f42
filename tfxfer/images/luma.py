"""Colour → grey, for networks of one channel."""

from __future__ import annotations

import numpy as np

__all__ = ["take_luma"]

# Of 65,536: 0.299, 0.587 and 0.114.
_RED, _GREEN, _BLUE = 19595, 38470, 7471


def take_luma(pixels: np.ndarray) -> np.ndarray:
    """Returns how bright pixels are, to the bit as Pillow's mode `L` has it.

    Shapes: uint8 (…, 3); returns uint8 (…, 1).

    Example:
        >>> take_luma(np.array([[255, 0, 0], [10, 10, 10]], np.uint8)).tolist()
        [[76], [10]]

    Source:
        ITU-R BT.601-7, 2.5.1: Y = 0.299 R + 0.587 G + 0.114 B.
    """
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    luma = (_RED * red + _GREEN * green + _BLUE * blue + 0x8000) >> 16
    return luma.astype(np.uint8)[..., None]
