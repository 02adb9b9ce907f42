"""What kind of photo a file is, told by its first bytes: a name may lie."""

from __future__ import annotations

import struct

__all__ = [
    "FORMATS",
    "HEAD_BYTES",
    "HEIC",
    "READ_SUFFIXES",
    "UNREAD_SUFFIXES",
    "detect_unread",
    "explain_unread",
]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""The only parsers that ever see a file: EPS and PDF would start other programs."""

READ_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
)

HEIC = "HEIC"
_RAW = "camera RAW"

_SUFFIX_KINDS = {
    ".heic": HEIC,
    ".heif": HEIC,
    ".hif": HEIC,
    ".avif": "AVIF",
    ".jxl": "JPEG XL",
    ".jp2": "JPEG 2000",
    ".j2k": "JPEG 2000",
    ".jpx": "JPEG 2000",
    ".3fr": _RAW,
    ".arw": _RAW,
    ".cr2": _RAW,
    ".cr3": _RAW,
    ".dng": _RAW,
    ".nef": _RAW,
    ".nrw": _RAW,
    ".orf": _RAW,
    ".pef": _RAW,
    ".raf": _RAW,
    ".rw2": _RAW,
    ".sr2": _RAW,
    ".srw": _RAW,
    ".x3f": _RAW,
    ".exr": "OpenEXR",
    ".hdr": "Radiance HDR",
    ".pbm": "PNM",
    ".pgm": "PNM",
    ".pnm": "PNM",
    ".ppm": "PNM",
    ".psd": "Photoshop",
    ".tga": "TGA",
}

UNREAD_SUFFIXES = frozenset(_SUFFIX_KINDS)
"""Photos that cameras and programs write and that are not read, or with an extra only: listed with
the others, so that none of them vanishes."""

HEAD_BYTES = 4096
"""As much of a file as tells its kind; of a RAW file of 100 MB no more is read."""

# Brands of ISO base media files, ISO/IEC 23008-12 and the AV1 Image File Format.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": _RAW,
    b"qt  ": "video",
    **dict.fromkeys((b"isom", b"iso2", b"mp41", b"mp42", b"M4V ", b"3gp4", b"3gp5"), "video"),
}
_GENERIC_BRANDS = (b"mif1", b"msf1", b"hevs")  # of which a compatible brand says more

_MAGIC = (
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\x00", _RAW),
    (b"FOVb", _RAW),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"8BPS\x00", "Photoshop"),
)
_PNM = tuple(f"P{number}".encode() for number in range(1, 8))
_DNG_VERSION_TAG = 0xC612


def detect_unread(head: bytes, suffix: str = "") -> str | None:
    r"""Returns the kind of a photo that Pillow's parsers of `FORMATS` do not read; else None.

    Args:
        head: the first `HEAD_BYTES` of the file.
        suffix: of its name, which tells most RAW files from the TIFFs that they are inside.

    Example:
        >>> detect_unread(b"\x00\x00\x00\x18ftypheic"), detect_unread(b"\xff\xd8\xff\xe0")
        ('HEIC', None)
    """
    if head[4:8] == b"ftyp":
        return _read_brand(head)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:2] in _PNM and head[2:3].isspace():
        return "PNM"
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        named_raw = _SUFFIX_KINDS.get(suffix.lower()) == _RAW
        return _RAW if named_raw or head[8:10] == b"CR" or _is_dng(head) else None
    return None


def explain_unread(kind: str) -> str:
    """Returns how a photo of this kind becomes one that is read, in a few words."""
    if kind == HEIC:
        return 'HEIC, which an extra reads: pip install "tfxfer[heic]"'
    if kind == "video":
        return "a video, not an image"
    return f"{kind}, which is not read: convert it to JPEG or PNG"


def _read_brand(head: bytes) -> str | None:
    size = min(struct.unpack(">I", head[:4])[0], len(head))
    # The minor version, at 12, is no brand.
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, max(16, size - 3), 4))]
    for brand in brands:
        if brand in _BRANDS and (_BRANDS[brand] != "video" or brands[0] == brand):
            return _BRANDS[brand]
    return HEIC if brands[0] in _GENERIC_BRANDS else "video"


def _is_dng(head: bytes) -> bool:
    """Returns whether the first directory of a TIFF names a version of DNG."""
    if len(head) < 8:
        return False  # cut off
    order = "<" if head.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", head, 4)
    if start + 2 > len(head):
        return False
    (count,) = struct.unpack_from(f"{order}H", head, start)
    tags = (start + 2 + 12 * number for number in range(count))
    return any(
        at + 2 <= len(head) and struct.unpack_from(f"{order}H", head, at)[0] == _DNG_VERSION_TAG
        for at in tags
    )
