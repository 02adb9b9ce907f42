"""Bytes of a file → text, or one line that says which bytes are none and how to convert them."""

from __future__ import annotations

import codecs

__all__ = ["decode_text", "mend_surrogates"]

# Longer marks first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_LEAST_ZEROS = 0.25  # of UTF-16 without a mark, English is half zeros; no text in UTF-8 has any


def decode_text(data: bytes) -> str:
    r"""Returns text in UTF-8, with or without a byte order mark, which is no part of it.

    Args:
        data: of a whole file.

    Raises:
        ValueError: it is no such text; the message is what was received instead, and what to do.

    Example:
        >>> decode_text(b"\xef\xbb\xbfgr\xc3\xbcn")
        'grün'
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise ValueError(f"the mark of {name}, {mark.hex(' ')}. {_convert(name)}")
    if data.count(b"\0") > _LEAST_ZEROS * len(data):
        name = "UTF-16LE" if data[:1] != b"\0" else "UTF-16BE"
        raise ValueError(f"zeros in every other byte, as {name} has them. {_convert(name)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = data[error.start : error.start + 1]
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{byte.hex()} on line {line:,}"
        try:
            meant = byte.decode("cp1252")
        except UnicodeDecodeError:
            raise ValueError(f"{what}, which no character of UTF-8 has there") from error
        raise ValueError(
            f"{what}, which is {meant!r} in Windows-1252. {_convert('WINDOWS-1252')}"
        ) from error


def mend_surrogates(text: str) -> str:
    r"""Returns the text with each half of a surrogate pair, which no file can hold, as U+FFFD.

    JSON can name such halves (`"\ud83d"`), and a shell passes on bytes that are no UTF-8 so.

    Example:
        >>> mend_surrogates("half \ud83d of it, and a whole: \ud83d\ude00")
        'half � of it, and a whole: 😀'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _convert(name: str) -> str:
    return f"Convert it: iconv -f {name} -t UTF-8 OLD > NEW"
