"""The words and word pieces that a tokenizer knows, a line each: `vocab.txt`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfxfer.errors import WeightsError
from tfxfer.system.bounded import read_text

__all__ = ["read_vocabulary"]

_LARGEST_BYTES = 64 << 20
"""The largest that are in use, of a hundred languages, have 5 MB."""


def read_vocabulary(path: Path, *, required: Iterable[str] = ()) -> dict[str, int]:
    """Returns the number of each word piece: that of its line, from 0.

    Args:
        path: of `vocab.txt`, UTF-8.
        required: pieces that it must hold, such as `[CLS]`.

    Raises:
        WeightsError: it cannot be read, names a piece twice, or lacks a required one.
    """
    where = f"vocabulary {str(path)!r}"
    try:
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise WeightsError(
                f"{where}: expected a word piece a line, {_LARGEST_BYTES >> 20} MB at most. "
                f"Received: {size} bytes. Give the vocab.txt that belongs to the weights."
            )
        text = read_text(path, _LARGEST_BYTES)
    except WeightsError:
        raise
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{where}: expected UTF-8, a word piece a line. "
            f"Received: {type(error).__name__}: {error}."
        ) from error
    # Not splitlines: a line separator of Unicode's may be a word piece.
    lines = text.removesuffix("\n").split("\n")
    words: dict[str, int] = {}
    for number, line in enumerate(lines):
        word = line.rstrip("\r")
        if word in words:
            raise WeightsError(
                f"{where}: expected each word piece once. Received: {word!r} in lines "
                f"{words[word] + 1} and {number + 1}."
            )
        words[word] = number
    missing = [word for word in required if word not in words]
    if missing:
        raise WeightsError(
            f"{where}: expected the word pieces {', '.join(required)}. Received: "
            f"{len(words)} pieces without {', '.join(missing)}. "
            "Give the vocab.txt that belongs to the weights."
        )
    return words
