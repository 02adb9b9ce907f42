"""Files that are either the old one or the new one, never half of a new one."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import StorageError, TfxferError
from tfxfer.system.plain_text import escape_json, guard_cell, guard_row
from tfxfer.system.scratch import name_temporary

__all__ = [
    "TEMPORARY",
    "atomic_write",
    "check_writable",
    "describe_storage_error",
    "file_sha256",
    "to_json",
    "to_plain",
    "write_table",
]

TEMPORARY = ".*.tmp-*"
"""Glob of what `atomic_write` leaves behind when the process is killed outright.

`tfxfer.system.scratch` reads from the name whose it was."""

# What a full or forbidden disk says, whatever was being written.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# These are about one file, which need not be the one that is being written.
_FORBIDDEN = {errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to; what lies there at the end replaces `path` in one step.

    The temporary file lies in the same folder, so that the replacement is a rename, and keeps the
    suffix, since Keras chooses its format by it. After any exception, Ctrl-C included, it is gone
    and `path` is as it was.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "labels.txt") as temporary:
        ...     _ = temporary.write_text("rose", encoding="utf-8")
        >>> [file.name for file in folder.iterdir()], temporary.suffix
        (['labels.txt'], '.txt')
    """
    path = Path(path)
    temporary = name_temporary(path)
    try:
        yield temporary
        # Windows can only flush a handle that may write.
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        message = describe_storage_error(error, path, also=(temporary,))
        if message is not None:
            raise StorageError(message) from error
        raise


def describe_storage_error(
    error: BaseException, path: str | Path | None = None, *, also: Iterable[Path] = ()
) -> str | None:
    """Returns the message for a disk that is full or not writable; None for any other error.

    Args:
        error: what was raised while writing.
        path: what was being written, where known.
        also: paths that an error about permissions may name instead of `path`.
    """
    if not isinstance(error, (OSError, RuntimeError)) or isinstance(error, TfxferError):
        return None
    code = _errno(error)
    named = getattr(error, "filename", None)
    what = Path(path if path is not None else named or ".")
    if code in _FORBIDDEN:
        ours = {what, what.parent, *also}
        if path is None or (named is not None and Path(named) not in ours):
            return None
    elif code not in _FULL:
        return None
    reason = os.strerror(code or 0)
    remedy = (
        "Free some space, or choose a folder on another disk."
        if code in (errno.ENOSPC, errno.EDQUOT)
        else "Choose a folder that you may write to."
    )
    shown = str(what)
    return f"cannot write {shown!r}: expected a writable disk. Received: {reason}. {remedy}"


def _errno(error: BaseException) -> int | None:
    code = getattr(error, "errno", None)
    if code is None:
        # HDF5, which writes Keras's weights, only has the number in its text.
        match = re.search(r"errno = (\d+)", str(error))
        code = int(match[1]) if match else None
    return code


def _flush_folder(folder: Path) -> None:
    # Without this a power cut may undo the rename. Not every system can open a folder.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are not there yet.

    Raises:
        StorageError: the disk is full, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = describe_storage_error(error, path, also=(path, *path.parents))
        if message is None:
            raise
        raise StorageError(message) from error


def check_writable(folder: Path) -> None:
    """Tries whether something can be made in a folder, or in what is there of the way to it.

    Long work asks this before it begins. Permissions alone do not tell: a disk may be read-only.

    Raises:
        StorageError: nothing can.
    """
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    trial = name_temporary(existing / "trial")
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise StorageError(
            describe_storage_error(error, folder, also=(trial, existing))
            or f"cannot write {str(folder)!r}: {error.strerror or error}. Choose another folder."
        ) from error


def file_sha256(path: Path) -> str:
    """Returns the hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(document: Any, *, indent: int | None = 2) -> str:
    r"""Returns strict JSON text of `to_plain(document)`, harmless to print, ended by a newline.

    Example:
        >>> to_json({"loss": float("nan"), "path": Path("a.txt")}, indent=None)
        '{"loss": null, "path": "a.txt"}\n'
    """
    text = json.dumps(to_plain(document), indent=indent, ensure_ascii=False, allow_nan=False)
    return escape_json(text) + "\n"


def to_plain(value: Any) -> Any:
    """Returns the same as JSON's own types.

    numpy's scalars and arrays, paths and tuples become plain values. NaN and infinity, which JSON
    does not have, become None: a training that diverged must still be readable.

    Raises:
        TypeError: it holds something else.
    """
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy, which this module does not import
        return to_plain(value.tolist())
    raise TypeError(f"not JSON data: {type(value).__name__}")


def write_table(
    path: str | Path, rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = ()
) -> None:
    """Writes a CSV file in one step, whose cells a spreadsheet shows and never runs.

    Texts are as `guard_cell` has them, the names of the columns, too; numbers stay. Whoever reads a
    table back takes its texts through `unguard_cell`, and paths through `pack_text` before and
    `unpack_text` after.

    Args:
        path: of the file.
        rows: cells by column.
        columns: the first ones, which are there without a row, too; keys of rows that are none of
            them follow in order of arrival.
    """
    rows = list(rows)
    columns = list(dict.fromkeys((*columns, *(key for row in rows for key in row))))
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="")
        writer.writerow({name: guard_cell(name) for name in columns})
        writer.writerows(map(guard_row, rows))
