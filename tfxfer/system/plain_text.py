"""Text from outside, such as names of files, made harmless where people read it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = [
    "escape_controls",
    "escape_lines",
    "guard_cell",
    "guard_row",
    "join_counts",
    "shorten_text",
    "unguard_cell",
]

# Control and format characters, lone surrogates, and separators of lines and paragraphs.
_STEERING = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Persian, Hindi and joined emoji are written with these; they move no cursor.
_JOINERS = frozenset("\u200c\u200d")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@")
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
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _STEERING and char not in _JOINERS
        else char
        for char in text
    )


def guard_cell(text: str) -> str:
    """Returns the text as a cell of a CSV that no spreadsheet takes for a formula.

    A number is none. For tables that people open; who reads one back needs `unguard_cell`.

    Example:
        >>> guard_cell("=1+1/00.jpg"), guard_cell("a=b"), guard_cell("-0.5")
        ("'=1+1/00.jpg", 'a=b', '-0.5')
    """
    text = escape_controls(text)
    if _NUMBER.fullmatch(text) or not _is_formula(text):
        return text
    return f"{_QUOTE}{text}"


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
