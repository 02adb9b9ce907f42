"""Small files that would cost gigabytes or minutes, told from their headers."""

from __future__ import annotations

import re

__all__ = ["describe_bomb"]

_MAX_SIDE_PX = 65_535
"""What a JPEG can have at most, and no camera makes."""

_PACKED_PIXELS = 25_000_000
_MAX_RATIO = 500
"""Deflate ends at 1,032, for pixels that are all alike; a photo packs to a third in PNG and to a
twentieth in JPEG. Below 25 megapixels an empty page is still read."""

_MAX_SCANS = 100
"""A progressive JPEG has 10 scans as libjpeg writes it. Each costs a pass over all pixels."""

_MAX_SCANNED_PIXELS = 2_160_000_000
"""Pixels times scans: the largest photo that is read, with the 18 that libjpeg writes of four
colours. 1.1 ns each, where a scan says nothing: 2.4 s of a core."""

_MAX_HELD_BYTES = 960_000_000
"""Of coefficients, two bytes each, which libjpeg holds of all scans but a single one: those of 120
megapixels in four colours, or of 200 as cameras write them, whose colours have half the sides."""

_DEEP_BYTES = 480_000_000
_MAX_DEEP_RATIO = 20
"""Of files with 16 bits a channel, which are held whole beside their 8 bits: as many bytes as the
largest photo has in RGBA. The noise of a sensor packs to a half, so that a larger file is large on
disk, too."""

_MAX_PIXELS_OF = {"WEBP": 60_000_000}
"""WebP's decoder holds four copies of an image; no camera writes it, and the web has no such."""

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.S)
"""What ends the data of a scan: no stuffed byte, and no restart."""

_START_OF_SCAN, _START_OF_IMAGE, _END_OF_IMAGE, _STANDALONE = 0xDA, 0xD8, 0xD9, 0x01


def describe_bomb(
    content: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    form: str = "",
    is_deep: bool = False,
    held_bytes: int = 0,
) -> str | None:
    """Returns what is out of all proportion, in a few words; None for a file as photos are.

    Args:
        content: the file's bytes.
        size: width and height in pixels, as its header has them.
        bits: of a pixel, all channels together.
        form: Pillow's name of the format.
        is_deep: whether there are 16 bits a channel.
        held_bytes: of the coefficients of a JPEG, should it have several scans.

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
    if is_deep and unpacked > max(_DEEP_BYTES, _MAX_DEEP_RATIO * len(content)):
        return f"{width}x{height} pixels of 16 bits a channel packed into {len(content):,} bytes"
    most = _MAX_PIXELS_OF.get(form)
    if most is not None and width * height > most:
        return f"{width}x{height}, more than {most:,} pixels in {form}"
    if content.startswith(b"\xff\xd8"):
        scans = _count_scans(content)
        if scans > _MAX_SCANS:
            return f"{scans:,} scans, where a photo has about 10"
        if scans > 1 and held_bytes > _MAX_HELD_BYTES:
            return (
                f"{width}x{height} pixels in {scans:,} scans, which take {held_bytes:,} bytes to "
                "hold beside each other"
            )
        if scans * width * height > _MAX_SCANNED_PIXELS:
            return f"{scans:,} scans of {width}x{height} pixels, where about 10 are written"
    return None


def _count_scans(content: bytes) -> int:
    """Returns how many scans a JPEG has; what follows its end, such as a film, is no part of it."""
    scans = at = 0
    while (found := _MARKER.search(content, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        scans += marker == _START_OF_SCAN
        if marker not in (_START_OF_IMAGE, _STANDALONE):
            # A segment says its own length; a preview within one is not decoded.
            at += int.from_bytes(content[at : at + 2], "big")
    return scans
