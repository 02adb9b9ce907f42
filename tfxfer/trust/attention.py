"""How much of a heat map lies outside of the place where the object is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import DataError, UsageError
from tfxfer.picture import Picture

__all__ = ["Attention", "Box", "cover_box", "cover_mask", "measure_attention", "parse_box"]

_WHITE = 128
"""Grey level from which a pixel of a mask is inside."""

_ASPECT_TOLERANCE = 0.02  # a mask that was saved at another size has rounded sides


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture.

    Args:
        left, top, right, bottom: from the upper left corner of the upright picture.
        in_pixels: whether they are pixels of the original; else fractions of its sides.
    """

    left: float
    top: float
    right: float
    bottom: float
    in_pixels: bool


@dataclass(frozen=True)
class Attention:
    """Where a heat map lies.

    Args:
        outside: share of the heat that lies outside of the place; None where there is no heat.
        area_outside: share of what the network sees that lies outside of it: what heat that is
            spread evenly would have.
    """

    outside: float | None
    area_outside: float

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {"outside": self.outside, "area_outside": self.area_outside}

    def describe(self) -> str:
        """Returns a line for a person."""
        area = f"{100 * self.area_outside:.0f} % of the picture"
        if self.outside is None:
            return f"there is no attention to place; {area} is outside"
        return f"{100 * self.outside:.0f} % of the attention is outside, where {area} is"


def parse_box(text: str) -> Box:
    """Returns the box that LEFT,TOP,RIGHT,BOTTOM means: fractions where none is above 1.

    Raises:
        UsageError: it is none, or has no area.

    Example:
        >>> parse_box("0.25,0,1,0.5")
        Box(left=0.25, top=0.0, right=1.0, bottom=0.5, in_pixels=False)
    """
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError:
        left = top = right = bottom = math.nan
    if not (0 <= left < right < math.inf and 0 <= top < bottom < math.inf):
        raise UsageError(
            "box: expected LEFT,TOP,RIGHT,BOTTOM, in pixels of the original picture or in "
            "fractions of its sides, with left < right and top < bottom. "
            f"Received: box={text!r}. Such as: 0.25,0.25,0.75,0.75"
        )
    return Box(left, top, right, bottom, in_pixels=max(right, bottom) > 1)


def cover_box(box: Box, picture: Picture, shape: tuple[int, int]) -> np.ndarray:
    """Returns which share of each pixel of the network's input lies in a box.

    Args:
        box: in the picture.
        picture: says what the network sees of it.
        shape: rows and columns of the network's input.

    Shapes: float64 (rows, columns), 0..1.

    Raises:
        DataError: the box lies outside of what the network sees.
    """
    width, height = picture.size_px if box.in_pixels else (1, 1)
    left, top, right, bottom = picture.seen
    rows = _cover(box.top / height, box.bottom / height, (top, bottom), shape[0])
    columns = _cover(box.left / width, box.right / width, (left, right), shape[1])
    covered = np.outer(rows, columns)
    if not covered.any():
        wide, high = picture.size_px
        raise DataError(
            f"box: expected one inside of what the network sees of a picture of {wide} x {high} "
            f"pixels. Received: {box}."
        )
    return covered


def _cover(start: float, end: float, seen: tuple[float, float], count: int) -> np.ndarray:
    """Returns which share of each of some equal cells between two ends lies in an interval."""
    edges = np.linspace(*seen, count + 1)
    overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    share: np.ndarray = np.maximum(overlap, 0) / (edges[1] - edges[0])
    return share


def cover_mask(mask: Picture, picture: Picture, shape: tuple[int, int]) -> np.ndarray:
    """Returns which pixels of the network's input lie in the white of a mask.

    Args:
        mask: of the picture's aspect ratio, at any size.
        picture: says what the network sees of it.
        shape: rows and columns of the network's input.

    Shapes: float64 (rows, columns), 0 or 1, by the centre of each.

    Raises:
        DataError: a mask of another aspect ratio, or without white where the network sees.
    """
    ratio = math.log(mask.size_px[0] * picture.size_px[1] / mask.size_px[1] / picture.size_px[0])
    if abs(ratio) > _ASPECT_TOLERANCE:
        raise DataError(
            f"mask: expected the picture's aspect ratio, {picture.size_px[0]} x "
            f"{picture.size_px[1]} pixels. Received: {mask.size_px[0]} x {mask.size_px[1]}."
        )
    white = mask.pixels.mean(axis=2) >= _WHITE
    left, top, right, bottom = picture.seen
    y = np.floor(_centres(top, bottom, shape[0]) * white.shape[0]).astype(int)
    x = np.floor(_centres(left, right, shape[1]) * white.shape[1]).astype(int)
    inside = np.zeros(shape)
    rows, columns = ((i >= 0) & (i < n) for i, n in zip((y, x), white.shape, strict=True))
    inside[np.ix_(rows, columns)] = white[np.ix_(y[rows], x[columns])]
    if not inside.any():
        raise DataError(
            "mask: expected white where the object is. Received: none where the network sees."
        )
    return inside


def _centres(start: float, end: float, count: int) -> np.ndarray:
    found: np.ndarray = start + (np.arange(count) + 0.5) * (end - start) / count
    return found


def measure_attention(heat: np.ndarray, inside: np.ndarray) -> Attention:
    """Returns how much of a heat map lies outside of a place.

    Args:
        heat: of one picture, not negative.
        inside: from `cover_box` or `cover_mask`.

    Shapes: both (rows, columns).
    """
    whole = float(heat.sum(dtype=np.float64))
    out = float((heat * (1 - inside)).sum(dtype=np.float64)) / whole if whole > 0 else None
    return Attention(out, float(1 - inside.mean()))
