"""Small files that would cost gigabytes or minutes, told from their headers."""

from __future__ import annotations

__all__ = ["describe_bomb"]

_MAX_SIDE_PX = 65_535
"""What a JPEG can have at most, and no camera makes."""

_PACKED_PIXELS = 25_000_000
_MAX_RATIO = 500
"""Deflate ends at 1,032, for pixels that are all alike; a photo packs to a third in PNG and to a
twentieth in JPEG. Below 25 megapixels an empty page is still read."""

_MAX_SCANS = 100
"""A progressive JPEG has 10 scans as libjpeg writes it. Each costs a pass over all pixels."""

_START_OF_SCAN = b"\xff\xda"


def describe_bomb(content: bytes, size: tuple[int, int], bits: int) -> str | None:
    """Returns what is out of all proportion, in a few words; None for a file as photos are.

    Args:
        content: the file's bytes.
        size: width and height in pixels, as its header has them.
        bits: of a pixel, all channels together.

    Source:
        ITU-T T.81, B.1.1.5: in the data of a scan a byte 0xFF is followed by 0 or by a restart
        marker, so that a start of scan is never part of it.
    """
    width, height = size
    if max(size) > _MAX_SIDE_PX:
        return f"{width}x{height}, a side above {_MAX_SIDE_PX:,} pixels"
    unpacked = width * height * bits // 8
    if width * height > _PACKED_PIXELS and unpacked > _MAX_RATIO * len(content):
        return f"{width}x{height} pixels packed into {len(content):,} bytes"
    if content.startswith(b"\xff\xd8"):
        scans = content.count(_START_OF_SCAN)
        if scans > _MAX_SCANS:
            return f"{scans:,} scans, where a photo has about 10"
    return None
