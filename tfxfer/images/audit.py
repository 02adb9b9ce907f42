"""What one file is, as an image: readable or not, which pixels, what is odd about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.images.content import DecodeError
from tfxfer.images.decode import probe_image
from tfxfer.images.duplicates import THUMBNAIL_PX, make_thumbnail
from tfxfer.sample import Findings

__all__ = ["PEAK", "inspect_image"]

PEAK = "peak"
"""Fact of a file with more than 8 bits a channel: its largest value."""

_MIN_SIDE_PX = 16
_MAX_ASPECT = 5.0
_FLAT_LEVELS = 2

_SUFFIX_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}


def inspect_image(path: Path) -> Findings:
    """Reads a file once, to its last byte."""
    try:
        # Twice the thumbnail's side: large JPEGs are read at an eighth, yet to their last byte.
        # What white is in a deep file shows only when all have been read: here it is its own.
        probe = probe_image(path, min_side_px=THUMBNAIL_PX, white=None)
    except DecodeError as error:
        return Findings(fault=(error.kind, error.detail))
    image = probe.image
    stored = image.tobytes() if probe.deep is None else probe.deep.tobytes()
    # 16 bytes tell any number of files apart, and the size keeps crops of one colour apart.
    pixels = hashlib.blake2b(stored, digest_size=16).hexdigest()
    width, height = probe.size
    doubts = list(_list_doubts(path, probe.format, (width, height), image.getextrema()))
    if probe.is_cut:
        doubts.append("16 bits a channel, of which 8 are read")
    return Findings(
        sha256=hashlib.sha256(probe.content).hexdigest(),
        identity=f"{width}x{height} {pixels}",
        sketch=make_thumbnail(image),
        doubts=tuple(doubts),
        facts={} if probe.deep is None else {PEAK: _find_peak(probe.deep)},
    )


def _find_peak(deep: np.ndarray) -> int:
    # Opacity, the fourth channel, is no brightness.
    return int(deep[..., :3].max() if deep.ndim == 3 else deep.max())


def _list_doubts(
    path: Path, form: str, size: tuple[int, int], extrema: Sequence[Any]
) -> Iterator[str]:
    width, height = size
    if all(high - low <= _FLAT_LEVELS for low, high in extrema):
        yield "one colour all over"
    if min(size) < _MIN_SIDE_PX:
        yield f"tiny, {width}x{height}"
    if max(size) > _MAX_ASPECT * min(size):
        yield f"extreme shape, {width}x{height}"
    told = _SUFFIX_FORMATS.get(path.suffix.lower())
    # Many phones write several pictures into one .jpg, which Pillow calls MPO.
    real = "JPEG" if form == "MPO" else form
    if told not in (None, real):
        yield f"named {path.suffix} but is {real}"
