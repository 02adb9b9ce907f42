"""Arguments of public functions: what cannot be meant is refused in one line, before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from tfxfer.errors import TfxferError, UsageError
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "check_kind",
    "check_number",
    "check_path",
    "check_texts",
    "check_word",
    "describe_value",
    "is_real",
]

_LONGEST = 80  # characters of a value that a message repeats


def describe_value(value: Any) -> str:
    """Returns a value as a message repeats it: short ones whole, of others what they are.

    Example:
        >>> describe_value("photos/"), describe_value(0.5), describe_value({"a": 1})
        ("'photos/'", '0.5', 'a dict')
    """
    if value is None or isinstance(value, (str, bytes, int, float, os.PathLike)):
        text = repr(str(value) if isinstance(value, os.PathLike) else value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def check_kind(
    value: Any,
    kinds: type | tuple[type, ...],
    *,
    where: str,
    name: str,
    expected: str,
    error: type[TfxferError] = UsageError,
) -> None:
    """Refuses a value of another kind.

    Args:
        value: what was given.
        kinds: what it may be an instance of.
        where: the function, for the message.
        name: of the argument.
        expected: what it may be, in words, and how one gets that.
        error: what is raised.

    Raises:
        TfxferError: of the class `error`.
    """
    if not isinstance(value, kinds):
        raise error(
            f"{where}: expected {expected} as {name}. Received: {name}={describe_value(value)}."
        )


def check_number(
    value: Any, *, where: str, name: str, least: float, error: type[TfxferError] = UsageError
) -> None:
    """Refuses what is no whole number, or one that is too small.

    Raises:
        TfxferError: of the class `error`.
    """
    # True is 1 to Python, and never a number of anything.
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise error(
            f"{where}: expected a whole number of at least {least} as {name}. "
            f"Received: {name}={describe_value(value)}."
        )


def check_word(
    value: Any,
    known: Iterable[str],
    *,
    where: str,
    name: str,
    error: type[TfxferError] = UsageError,
) -> None:
    """Refuses what is none of some words, and says which was meant.

    Raises:
        TfxferError: of the class `error`.
    """
    words = tuple(known)
    # An array is equal to a word in every element, which is neither true nor false.
    if not isinstance(value, str) or value not in words:
        raise error(
            f"{where}: expected one of {', '.join(words)} as {name}. "
            f"Received: {name}={describe_value(value)}.{did_you_mean(value, words)}"
        )


def is_real(value: Any) -> bool:
    """Returns whether a value is a number, which True is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_path(value: Any, *, where: str, name: str = "path") -> Path:
    """Returns a path, where one was given as text or as a `Path`.

    Raises:
        UsageError: something else was.
    """
    check_kind(value, (str, os.PathLike), where=where, name=name, expected="a path")
    return Path(value)


def check_texts(value: Any, *, where: str, name: str, expected: str) -> tuple[str, ...]:
    """Returns several texts, such as labels; one text alone is not several.

    Raises:
        UsageError: something else was given.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise UsageError(
            f"{where}: expected {expected} as {name}. Received: {name}={describe_value(value)}."
        )
    found = tuple(value)
    wrong = [x for x in found if not isinstance(x, str)]
    if wrong:
        raise UsageError(
            f"{where}: expected {expected} as {name}. "
            f"Received: {describe_value(wrong[0])} among them."
        )
    return found
