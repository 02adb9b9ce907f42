"""The range of pixels, the same at every door: 0..255, before any preprocessing."""

from __future__ import annotations

import numpy as np

from tfxfer.errors import DataError

__all__ = ["check_pixels"]


def check_pixels(pixels: np.ndarray, *, where: str) -> None:
    """Refuses pixels of another range than models and conversions take.

    Black photos alone say nothing of their range, so several photos are judged together.

    Args:
        pixels: of some photos.
        where: what they were given as, for messages.

    Shapes: pixels (images, height, width, channels).

    Raises:
        DataError: NaN, values outside 0..255, or fractions up to 1.
    """
    if not pixels.size:
        return
    # A single NaN makes both of them NaN.
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):
        raise DataError(
            f"{where}: expected pixels 0..255, before any preprocessing. "
            f"Received: values from {low:.3g} to {high:.3g}."
        )
    if pixels.dtype.kind == "f" and high <= 1 and (pixels % 1).any():
        raise DataError(
            f"{where}: expected pixels 0..255, before any preprocessing. Received: fractions "
            f"up to {high:.3g}, which look divided by 255 already."
        )
