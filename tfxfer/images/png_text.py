"""PNGs without the text and the colour profile that Pillow refuses above a limit."""

from __future__ import annotations

import struct

__all__ = ["strip_text"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Words and profiles; the orientation is in eXIf, which stays.
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def strip_text(content: bytes) -> bytes | None:
    """Returns a PNG without its text and colour profile; None where it has neither.

    Pillow unpacks each text up to a limit that guards its memory, and calls the file broken beyond
    it. No pixel depends on them, so they are left out packed as they are.

    Source:
        PNG specification, third edition, sections 5.3 and 11.3: chunks are a length, a type, data
        and a checksum of their own.
    """
    if not content.startswith(_SIGNATURE):
        return None
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    is_stripped = False
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if kind in _TEXT:
            is_stripped = True
        else:
            kept.append(content[at:end])
        at = end
    return b"".join(kept) if is_stripped else None
