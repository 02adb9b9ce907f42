"""`split.csv`: which image went where, so that a later run can do the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from tfxfer.errors import DataError, StorageError
from tfxfer.system.arguments import check_path
from tfxfer.system.files import atomic_write

__all__ = ["SplitRow", "read_split_table", "write_split_table"]

_COLUMNS = ("path", "label", "split", "group")
_PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitRow:
    """One image's place.

    Args:
        path: relative to the data folder, with forward slashes.
        label: as DATA has it.
        split: `train`, `val` or `test`.
        group: images with the same group are on one side; the path of its first image.
    """

    path: str
    label: str
    split: str
    group: str


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
            writer.writerows(astuple(row) for row in rows)
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
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{name}: expected the split.csv of an earlier run. Received: {error}."
        ) from error
    if not lines or tuple(lines[0]) != _COLUMNS:
        raise DataError(
            f"{name}: expected the columns {','.join(_COLUMNS)}. "
            f"Received: {','.join(lines[0])[:80] if lines else 'nothing'}."
        )
    rows: dict[str, SplitRow] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(_COLUMNS) or cells[2] not in _PARTS or cells[0] in rows:
            raise DataError(
                f"{name}, line {number}: expected a new path, a label, one of "
                f"{', '.join(_PARTS)}, and a group. Received: {','.join(cells)[:80]!r}."
            )
        rows[cells[0]] = SplitRow(*cells)
    if not rows:
        raise DataError(f"{name}: expected a row per sample. Received: none.")
    return tuple(rows.values())
