"""`split.csv`: which sample went where, so that a later run can do the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from tfxfer.data.identity import is_fingerprint
from tfxfer.errors import DataError, StorageError
from tfxfer.system.arguments import check_path
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_bytes
from tfxfer.system.files import atomic_write
from tfxfer.system.plain_text import guard_cell, pack_text, unguard_cell, unpack_text

__all__ = ["SplitRow", "read_split_table", "write_split_table"]

_COLUMNS = ("path", "label", "split", "group", "fingerprint")
_EARLIER_COLUMNS = _COLUMNS[:4]  # of tfxfer 0.1
_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitRow:
    """One image's place.

    Args:
        path: relative to the data folder, with forward slashes.
        label: as DATA has it.
        split: `train`, `val` or `test`.
        group: images with the same group are on one side; the path of its first image.
        fingerprint: of its content, 16 hexadecimal digits; empty where that is not known.
    """

    path: str
    label: str
    split: str
    group: str
    fingerprint: str = ""


def write_split_table(path: str | Path, rows: Iterable[SplitRow]) -> None:
    """Writes the table whole or not at all.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    try:
        with (
            atomic_write(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            # Its paths must be found again: their controls are escapes that are undone.
            writer.writerows(map(_write_cell, astuple(row)) for row in rows)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"split table {str(path)!r}: expected a place that can be written. "
            f"Received: {error.strerror}."
        ) from error


def read_split_table(path: str | Path) -> tuple[SplitRow, ...]:
    """Reads what `write_split_table` wrote.

    Raises:
        DataError: no such file, or another table.
    """
    path = check_path(path, where="split table")
    name = f"split table {str(path)!r}"
    try:
        text = read_bytes(path, MOST_TABLE_BYTES).decode("utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{name}: expected the split.csv of an earlier run. Received: {error}."
        ) from error
    columns = tuple(lines[0]) if lines else ()
    if columns not in (_COLUMNS, _EARLIER_COLUMNS):
        raise DataError(
            f"{name}: expected the columns {','.join(_COLUMNS)}. "
            f"Received: {','.join(lines[0])[:80] if lines else 'nothing'}."
        )
    rows: dict[str, SplitRow] = {}
    for number, cells in enumerate(lines[1:], start=2):
        is_row = len(cells) == len(columns) and cells[2] in _PARTS
        is_row = is_row and _read_cell(cells[0]) not in rows
        if not is_row or any(cell and not is_fingerprint(cell) for cell in cells[4:]):
            raise DataError(
                f"{name}, line {number}: expected a new path, a label, one of "
                f"{', '.join(_PARTS)}, a group, and 16 hexadecimal digits or nothing. "
                f"Received: {','.join(cells)[:80]!r}."
            )
        row = SplitRow(*map(_read_cell, cells))
        rows[row.path] = row
    if not rows:
        raise DataError(f"{name}: expected a row per sample. Received: none.")
    return tuple(rows.values())


def _write_cell(text: str) -> str:
    return guard_cell(pack_text(text))


def _read_cell(cell: str) -> str:
    return unpack_text(unguard_cell(cell))
