"""Text from outside, such as names of files, made harmless where people read it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = [
    "escape_controls",
    "escape_json",
    "escape_lines",
    "escape_message",
    "guard_cell",
    "guard_row",
    "join_counts",
    "pack_text",
    "shorten_text",
    "unguard_cell",
    "unpack_text",
]

# Control and format characters, lone surrogates, and separators of lines and paragraphs.
_STEERING = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Persian, Hindi and joined emoji are written with these; they move no cursor.
_JOINERS = frozenset("\u200c\u200d")
# A spreadsheet takes a cell that begins so for a formula; the wide ones do in some countries.
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_UNUSUAL = re.compile(r"[^\x20-\x7e\n]")
# What `pack_text` writes, and what makes it write so.
_PACKED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")
# What begins so and is a number all the same.
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_QUOTE = "'"

_MOST_NAMES = 20
_FEW_NAMES = 10


def escape_controls(text: str) -> str:
    r"""Returns the text with what steers a terminal, or turns text around, as visible escapes.

    Example:
        >>> print(escape_controls("\x1b[31mred"), escape_controls("Größe 1"))
        \x1b[31mred Größe 1
    """
    if text.isprintable():
        return text
    return "".join(_escape(char) if _is_steering(char) else char for char in text)


def _is_steering(char: str) -> bool:
    return unicodedata.category(char) in _STEERING and char not in _JOINERS


def _escape(char: str) -> str:
    r"""Returns a character as `\x`, `\u` or `\U` and its number; a tab is `\t`."""
    return char.encode("unicode_escape").decode("ascii")


def escape_json(text: str) -> str:
    r"""Returns JSON that says the same, with what steers a terminal as JSON's own escapes.

    Example:
        >>> print(escape_json('{"path": "a\u202eb.jpg"}'))
        {"path": "a\u202eb.jpg"}
    """
    return _UNUSUAL.sub(
        lambda found: json.dumps(found[0])[1:-1] if _is_steering(found[0]) else found[0], text
    )


def pack_text(text: str) -> str:
    r"""Returns a text without what steers a terminal, which `unpack_text` gives back exactly.

    For paths in tables that are read again: what `escape_controls` makes of one names no file.

    Example:
        >>> print(pack_text("a\x1b.jpg"), pack_text(r"a\b.jpg"), pack_text(r"\x1b"))
        a\x1b.jpg a\b.jpg \\x1b
    """
    if not _PACKED.search(text) and not any(map(_is_steering, text)):
        return text
    return "".join(
        _number(char) if _is_steering(char) else char.replace("\\", "\\\\") for char in text
    )


def unpack_text(text: str) -> str:
    r"""Returns the text that `pack_text` was given.

    Example:
        >>> unpack_text(r"a\x1b.jpg"), unpack_text(r"a\b.jpg"), unpack_text(r"\\x1b")
        ('a\x1b.jpg', 'a\\b.jpg', '\\x1b')
    """
    return _PACKED.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), text)


def _number(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Guarded(str):
    """A cell that needs no further guard."""

    __slots__ = ()


def guard_cell(text: str) -> str:
    """Returns the text as a cell of a CSV that no spreadsheet takes for a formula.

    A number is none, and what this returned is left as it is. For tables that people open; who
    reads one back needs `unguard_cell`.

    Example:
        >>> guard_cell("=1+1/00.jpg"), guard_cell("a=b"), guard_cell("-0.5")
        ("'=1+1/00.jpg", 'a=b', '-0.5')
    """
    if isinstance(text, _Guarded):
        return text
    text = escape_controls(text)
    if _NUMBER.fullmatch(text) or not _is_formula(text):
        return text
    return _Guarded(f"{_QUOTE}{text}")


def unguard_cell(text: str) -> str:
    r"""Returns the text that `guard_cell` made a cell of; escaped controls stay escaped.

    Example:
        >>> unguard_cell("'=1+1/00.jpg"), unguard_cell("'a'"), unguard_cell("-0.5")
        ('=1+1/00.jpg', "'a'", '-0.5')
    """
    return text[1:] if text.startswith(_QUOTE) and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Returns whether it begins as one, behind quotes or none: what has some gets one more."""
    return text.lstrip(_QUOTE).startswith(_FORMULA_STARTS)


def escape_lines(text: str) -> str:
    r"""Returns a text of several lines, each as `escape_controls` has it.

    Example:
        >>> print(escape_lines("\x1b[2J1.jpg\n2.jpg"))
        \x1b[2J1.jpg
        2.jpg
    """
    return "\n".join(map(escape_controls, text.split("\n")))


def escape_message(text: str) -> str:
    r"""Returns `escape_lines` of a message, whose further lines are indented.

    So a name with a line break in it begins no line that looks like one of ours.

    Example:
        >>> print(escape_message("a\nerror: b.jpg left out"))
        a
          error: b.jpg left out
    """
    first, *others = escape_lines(text).split("\n")
    return "\n".join([first, *(x if x[:1] in ("", " ") else f"  {x}" for x in others)])


def guard_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row whose texts are as `guard_cell` has them, and whose numbers stay.

    Example:
        >>> guard_row({"path": "=1+1/00.jpg", "score": -0.5})
        {'path': "'=1+1/00.jpg", 'score': -0.5}
    """
    return {key: guard_cell(x) if isinstance(x, str) else x for key, x in row.items()}


def shorten_text(text: str, longest: int = 60) -> str:
    r"""Returns a text on one line, cut where it is too long for that.

    Example:
        >>> shorten_text("Free  entry\nin a weekly competition", 20)
        'Free entry in a wee…'
    """
    # Of a text of a megabyte nobody needs more than its beginning.
    line = " ".join(text[: 8 * longest].split())
    is_cut = len(line) > longest or len(text) > 8 * longest
    return f"{line[: longest - 1]}…" if is_cut else line


def join_counts(counts: Mapping[str, int]) -> str:
    """Returns names and counts in one line; of very many, the largest and the smallest.

    Example:
        >>> join_counts({"glass": 75, "cardboard": 1060})
        'cardboard 1,060, glass 75'
    """
    if len(counts) <= _MOST_NAMES:
        return ", ".join(f"{escape_controls(name)} {counts[name]:,}" for name in sorted(counts))
    by_count = sorted(counts, key=lambda name: (-counts[name], name))
    shown = ", ".join(f"{escape_controls(name)} {counts[name]:,}" for name in by_count[:_FEW_NAMES])
    last = by_count[-1]
    return (
        f"{shown}, and {len(by_count) - _FEW_NAMES:,} more "
        f"down to {escape_controls(last)} {counts[last]:,}"
    )
