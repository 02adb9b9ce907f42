"""What one file is, as an image: readable or not, which pixels, what is odd about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfxfer.images.decode import DecodeError, probe_image
from tfxfer.images.duplicates import THUMBNAIL_PX, make_thumbnail
from tfxfer.modality import Findings

__all__ = ["inspect_image"]

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
}


def inspect_image(path: Path) -> Findings:
    """Reads a file once, to its last byte."""
    try:
        # Twice the thumbnail's side: large JPEGs are read at an eighth, yet to their last byte.
        probe = probe_image(path, min_side_px=THUMBNAIL_PX)
    except DecodeError as error:
        return Findings(fault=(error.kind, error.detail))
    image = probe.image
    # 16 bytes tell any number of files apart, and the size keeps crops of one colour apart.
    pixels = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
    width, height = probe.size
    return Findings(
        sha256=hashlib.sha256(probe.content).hexdigest(),
        identity=f"{width}x{height} {pixels}",
        sketch=make_thumbnail(image),
        doubts=tuple(_list_doubts(path, probe.format, (width, height), image.getextrema())),
    )


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
