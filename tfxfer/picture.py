"""A sample that a person can look at, and which part of it a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Picture"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A sample as a person sees it.

    Args:
        pixels: upright RGB, in its own aspect ratio; possibly fewer than the file has.
        size_px: width and height of the upright original.
        seen: left, top, right and bottom of what the network's input covers, as fractions of the
            picture: 0, 0, 1, 1 for all of it. Beyond 0..1 the network sees what was added, such as
            black bars.

    Shapes: pixels uint8 (height, width, 3).
    """

    pixels: np.ndarray
    size_px: tuple[int, int]
    seen: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
