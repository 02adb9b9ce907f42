"""Files read whole, up to a limit: a sparse file of 20 GB takes no room on a disk, and all memory.

A device, or a pipe that never ends, is read no further than a file.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "MOST_DESCRIPTION_BYTES",
    "MOST_JSON_BYTES",
    "MOST_LABELS_BYTES",
    "MOST_MODEL_BYTES",
    "MOST_RULES_BYTES",
    "MOST_TABLE_BYTES",
    "LargeFileError",
    "read_bytes",
    "read_text",
]

MOST_JSON_BYTES = 64 << 20
"""A `run.json` that names 100,000 files left out has 10 MB. What JSON builds in Python takes up to
32 times its own size: 2 GB."""

MOST_DESCRIPTION_BYTES = 64 << 20
"""Of a SavedModel, whose weights are beside it: one of 10,000 operations has 5 MB."""

MOST_LABELS_BYTES = 16 << 20
"""21,000 classes of ImageNet have 0.5 MB."""

MOST_RULES_BYTES = 1 << 20
"""Rules that people write, a line each."""

MOST_TABLE_BYTES = 1 << 30
"""Ten million photos, or a million texts of a kilobyte."""

MOST_MODEL_BYTES = (2 << 30) - 1
"""What a FlatBuffer can have at most: its offsets are 32-bit numbers with a sign."""


class LargeFileError(ValueError):
    """A file that is larger than any that is meant; the message follows `Received:`."""


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Returns all bytes of a file.

    Args:
        path: of the file.
        most_bytes: it may have.

    Raises:
        OSError: it cannot be read.
        LargeFileError: it has more.
    """
    # Before anything is read: a limit of gigabytes would be read in vain.
    size = path.stat().st_size
    if size <= most_bytes:
        with path.open("rb") as file:
            # One more than is allowed shows what has no size beforehand, such as a pipe.
            content = file.read(most_bytes + 1)
        size = len(content)
    if size > most_bytes:
        raise LargeFileError(
            f"{size:,} bytes or more, of which at most {most_bytes:,} are read: is it the file "
            "that was meant? Split or shorten it"
        )
    return content


def read_text(path: Path, most_bytes: int, *, encoding: str = "utf-8") -> str:
    """Returns the text of a file, its line ends as `open` makes them: a line feed each.

    Args:
        path: of the file.
        most_bytes: it may have.
        encoding: of the text.

    Raises:
        OSError: it cannot be read.
        LargeFileError: it has more.
        UnicodeDecodeError: it is of another encoding.
    """
    text = read_bytes(path, most_bytes).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")
