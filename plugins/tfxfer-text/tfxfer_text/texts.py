"""A text as it is read: from the cell of a table, a file, or a command line."""

from __future__ import annotations

import unicodedata

from tfxfer.errors import DataError
from tfxfer.sample import Sample
from tfxfer.system.bounded import LargeFileError, read_bytes
from tfxfer.system.encoding import decode_text, mend_surrogates

__all__ = ["count_unseen", "has_words", "normalize_text", "read_text"]

_MOST_BYTES = 16 << 20
"""The longest novels have 6 MB; a network reads the first few hundred words."""

# Controls and what is like them: BERT's tokenizer takes them out before it looks for words.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_SPACES = frozenset("\t\n\r")


def read_text(sample: Sample) -> str:
    """Returns a text; half a surrogate pair, which no file can hold, is read as U+FFFD.

    Raises:
        DataError: a file that cannot be opened, or is no UTF-8.
    """
    if sample.content is not None:
        return mend_surrogates(sample.content)
    if sample.path is None:
        raise DataError(
            f"text {sample.name!r}: expected a text, or a file that holds one. Received: neither."
        )
    try:
        return decode_text(read_bytes(sample.path, _MOST_BYTES))
    except OSError as error:
        raise DataError(
            f"text {sample.name!r}: expected a file that can be read. Received: {error.strerror}."
        ) from error
    except LargeFileError as error:
        raise DataError(
            f"text {sample.name!r}: expected a text that somebody wrote. Received: {error}."
        ) from error
    except ValueError as error:
        raise DataError(f"text {sample.name!r}: expected UTF-8. Received: {error}.") from error


def has_words(text: str) -> bool:
    r"""Returns whether there is more in a text than spaces and what nobody sees.

    Example:
        >>> has_words("ok"), has_words("?!"), has_words(" \n\u200b\0")
        (True, True, False)
    """
    return any(not char.isspace() and unicodedata.category(char) not in _UNSEEN for char in text)


def count_unseen(text: str) -> int:
    r"""Returns how many control characters, such as NUL, a text holds that a network never sees.

    Example:
        >>> count_unseen("a\0b\x07\n"), count_unseen("tab\tand line\n")
        (2, 0)
    """
    if text.isprintable():
        return 0
    return sum(unicodedata.category(char) == "Cc" and char not in _SPACES for char in text)


def normalize_text(text: str) -> str:
    r"""Returns a text of which case, forms of one character and spaces are no part.

    Example:
        >>> normalize_text("  Straße\u00a0FREE   \uff21 ")
        'strasse free a'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
