"""Slices: what else is known of samples, such as the hospital, the camera or the year.

`slices.csv` of a run keeps them beside `split.csv`: `path`, and a column for each of them.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tfxfer.data.record import Record, Source
from tfxfer.errors import DataError
from tfxfer.system.arguments import check_path
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_text
from tfxfer.system.files import write_table
from tfxfer.system.plain_text import escape_controls, pack_text, unguard_cell, unpack_text
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "Slices",
    "add_slices",
    "check_columns",
    "clean_slice",
    "complete_slices",
    "find_columns",
    "list_columns",
    "list_slices",
    "write_slices",
]

Slices = tuple[tuple[str, str], ...]
"""Of one sample: names of columns, and what each says; empty text where it says nothing."""

# What tfxfer itself writes beside a path: a `split.csv` is a table of samples, too.
_OWN = frozenset(("path", "label", "split", "group", "fingerprint"))
_DELIMITERS = (",", ";", "\t")


def find_columns(columns: Sequence[str], sample: str) -> tuple[str, ...]:
    """Returns which columns of a table are slices: all but tfxfer's own, and those named twice.

    Args:
        columns: names in order, in lower case; an index that a program wrote has none.
        sample: the column that holds the samples.

    Example:
        >>> find_columns(["", "path", "label", "hospital", "age"], "path")
        ('hospital', 'age')
    """
    return tuple(
        name for name in columns if name and name not in _OWN | {sample} and columns.count(name) < 2
    )


def clean_slice(text: str) -> str:
    """Returns a cell in one normal form, harmless to print."""
    return escape_controls(unicodedata.normalize("NFC", text.strip()))


def list_columns(records: Iterable[Record]) -> tuple[str, ...]:
    """Returns the names of all slices of some samples, in order of arrival."""
    return tuple(dict.fromkeys(name for record in records for name, _ in record.slices))


def list_slices(records: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    """Returns what each column says of each sample; empty text where it says nothing.

    Example:
        >>> list_slices([Record("1.jpg", "a", slices=(("camera", "x"),)), Record("2.jpg", "b")])
        {'camera': ('x', '')}
    """
    cells = [dict(record.slices) for record in records]
    return {name: tuple(row.get(name, "") for row in cells) for name in list_columns(records)}


def add_slices(source: Source, table: str | Path, *, plural: str = "samples") -> Source:
    """Returns the samples with the columns of a table beside them, joined by path.

    Args:
        source: the samples.
        table: a CSV with the column `path`, as the samples' paths are relative to DATA, and one or
            more others.
        plural: what samples are called, for messages.

    Raises:
        DataError: no such table, none of the samples in it, a path twice, or a column that the
            samples have already.
    """
    where = f"slices {str(table)!r}"
    found = _read_table(check_path(table, where="slices"), where)
    taken = set(list_columns(source.records)) & set(list_columns(found.values()))
    if taken:
        raise DataError(
            f"{where}: expected columns that the data does not have itself. "
            f"Received: {', '.join(sorted(taken))}. Rename or remove them."
        )
    known = [record.path in found for record in source.records]
    if not any(known):
        first, other = source.records[0].path, next(iter(found))
        raise DataError(
            f"{where}: expected paths as in {str(source.root)!r}, such as {first!r}. "
            f"Received: none of them, first {other!r}."
        )
    notes = source.notes
    if not all(known):
        notes += (
            f"{Path(table).name} says nothing of {known.count(False):,} of {len(known):,} {plural}",
        )
    records = tuple(
        replace(record, slices=record.slices + found[record.path].slices) if is_known else record
        for record, is_known in zip(source.records, known, strict=True)
    )
    return replace(source, records=records, notes=notes)


def complete_slices(source: Source, table: str | Path) -> Source:
    """Returns the samples of a run with what its `slices.csv` says where DATA says nothing more.

    Args:
        source: the samples, perhaps with slices of their own, which stand.
        table: what `write_slices` wrote; it may be missing.

    Raises:
        DataError: a table that cannot be read.
    """
    if not Path(table).is_file():
        return source
    found = _read_table(Path(table), f"slices {str(table)!r}", is_ours=True)
    own = set(list_columns(source.records))
    return replace(
        source,
        records=tuple(
            replace(record, slices=record.slices + _leave_out(found[record.path].slices, own))
            if record.path in found
            else record
            for record in source.records
        ),
    )


def write_slices(path: str | Path, records: Sequence[Record]) -> None:
    """Writes `path` and a column for each slice, whole or not at all; nothing where none is.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    columns = list_columns(records)
    if columns:
        rows = [{"path": pack_text(record.path), **dict(record.slices)} for record in records]
        write_table(path, rows, columns=("path", *columns))


def check_columns(wanted: Iterable[str], known: Collection[str], *, where: str) -> tuple[str, ...]:
    """Returns the columns that a user named, as the data writes them.

    Args:
        wanted: names, in upper or lower case.
        known: columns of the data.
        where: what named them, for messages.

    Raises:
        DataError: a column that the data does not have.

    Example:
        >>> check_columns(["Camera"], ["camera", "year"], where="--slice")
        ('camera',)
    """
    names = []
    for name in wanted:
        found = name.strip().lower()
        if found not in known:
            has = f"has {', '.join(map(repr, known))}" if known else "has no further column"
            raise DataError(
                f"{where} {name!r}: expected a column of the data. Received: data that {has}."
                f"{did_you_mean(found, known)}"
                + ("" if known else " Give a table of them: --slices FILE.csv")
            )
        names.append(found)
    return tuple(dict.fromkeys(names))


def _leave_out(slices: Slices, names: Collection[str]) -> Slices:
    return tuple(pair for pair in slices if pair[0] not in names)


def _read_table(path: Path, where: str, *, is_ours: bool = False) -> dict[str, Record]:
    """Returns samples without labels, by path.

    Args:
        path: of the table.
        where: what it is, for messages.
        is_ours: whether `write_slices` wrote it: then there are commas, and guarded cells.
    """
    try:
        text = read_text(path, MOST_TABLE_BYTES, encoding="utf-8-sig")
        heading = text.partition("\n")[0]
        delimiter = "," if is_ours else max(_DELIMITERS, key=heading.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{where}: expected a CSV in UTF-8 with the column path. Received: {error}."
        ) from error
    columns = [escape_controls(cell.strip().lower()) for cell in lines[0]] if lines else []
    names = find_columns(columns, "path")
    if columns.count("path") != 1 or not names:
        raise DataError(
            f"{where}: expected a first line with the column path, once, and one or more others. "
            f"Received: {','.join(columns)[:120]!r}."
        )
    found: dict[str, Record] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != len(columns):
            raise DataError(
                f"{where}, line {number}: expected {len(columns)} cells, as in the first line. "
                f"Received: {len(cells)}."
            )
        row = dict(zip(columns, cells, strict=True))
        name = row["path"]
        if is_ours:
            name = unpack_text(unguard_cell(name))
        else:
            name = name.strip().replace("\\", "/").removeprefix("./")
        read = unguard_cell if is_ours else str
        slices = tuple((read(column), clean_slice(read(row[column]))) for column in names)
        if name in found:
            raise DataError(
                f"{where}, line {number}: expected one row per path. Received: path={name!r} again."
            )
        found[name] = Record(name, "", slices=slices)
    if not found:
        raise DataError(f"{where}: expected a row per sample. Received: none.")
    return found
