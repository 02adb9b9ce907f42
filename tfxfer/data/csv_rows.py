"""Samples in the rows of a CSV: paths of files, or the samples themselves."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from tfxfer.data.record import SPLIT_WORDS, Dispute, Record, Source, clean_label, make_source
from tfxfer.data.slice_table import clean_slice, find_columns
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.system.plain_text import escape_controls

__all__ = ["read_csv"]

_FURTHER_COLUMNS = ("label", "split", "group")  # after the one that holds the sample
_DELIMITERS = (",", ";", "\t")


def read_csv(path: Path, modality: Modality) -> Source:
    """Lists the samples of a table; see `tfxfer.data.read_source`."""
    # The folder is resolved, the file is not: a linked table still sits beside its files.
    root = path.parent.resolve()
    name = f"table {str(path)!r}"
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: expected a CSV in UTF-8. Received: other bytes at position {error.start}. "
            "Save it as 'CSV UTF-8', or give a folder of class folders."
        ) from error
    columns, rows = _parse_csv(text, name, modality.column)
    extra = find_columns(columns, modality.column)
    records: dict[str, Record] = {}
    first_line: dict[str, int] = {}
    disputes = []
    unsure: set[str] = set()
    for line, cells in rows:
        where = f"{name}, line {line}"
        row = dict(zip(columns, cells, strict=True))
        record = _read_row(row, extra, root, where, modality, place=f"{path.name}:{line}")
        known = records.setdefault(record.path, record)
        first_line.setdefault(record.path, line)
        if known.slices != record.slices:
            # One row for each of several things in a picture: no slice is the picture's.
            known = replace(known, slices=_keep_equal(known.slices, record.slices))
            records[record.path] = known
            record = replace(record, slices=known.slices)
            unsure.add(record.path)
        if known != record:
            message = (
                f"{where}: expected one row per {modality.noun}. Received: "
                f"path={record.path!r} with {_row_values(record)}, and {_row_values(known)} on "
                f"line {first_line[record.path]}. Remove one row."
            )
            if replace(record, label=known.label) != known:
                raise DataError(message)
            # Only a head can say whether `a|b` and `b|a` are the same.
            disputes.append(Dispute(record.path, (known.label, record.label), message))
    return make_source(
        root,
        records.values(),
        (),
        modality,
        kind="csv",
        understood=f"understood {escape_controls(path.name)} as a table of {len(rows):,} rows",
        notes=[
            f"{len(unsure):,} of the {modality.plural} have rows that differ in further columns, "
            f"{', '.join(extra)}: where they do, nothing is taken for known"
        ]
        if unsure
        else (),
        disputes=disputes,
    )


def _keep_equal(
    slices: tuple[tuple[str, str], ...], others: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    return tuple(
        (column, cell if cell == other else "")
        for (column, cell), (_, other) in zip(slices, others, strict=True)
    )


def _row_values(record: Record) -> str:
    values = (("label", record.label), ("split", record.split), ("group", record.group))
    return ", ".join(f"{name}={value!r}" for name, value in values if value is not None)


def _parse_csv(text: str, name: str, column: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    known = (column, *_FURTHER_COLUMNS)
    heading = next((line for line in text.splitlines() if line.strip()), "")
    found: list[str] = []
    for delimiter in _DELIMITERS:
        found = [
            escape_controls(cell.strip().strip('"').lower()) for cell in heading.split(delimiter)
        ]
        if {column, "label"} <= set(found):
            break
    else:
        raise DataError(
            f"{name}: expected a first line with the columns {column},label[,split][,group]. "
            f"Received: {heading[:120]!r}."
        )
    if len(set(found) & set(known)) != sum(cell in known for cell in found):
        raise DataError(f"{name}: expected each column once. Received: {heading[:120]!r}.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(found):
                raise DataError(
                    f"{name}, line {reader.line_num}: expected {len(found)} cells, as in the first "
                    f"line. Received: {len(cells)}. Put quotes around cells with a {delimiter!r}."
                )
            rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"{name}, line {reader.line_num}: expected a CSV. Received: {error}."
        ) from error
    return found, rows[1:]


def _read_row(
    row: dict[str, str],
    extra: Sequence[str],
    root: Path,
    where: str,
    modality: Modality,
    *,
    place: str,
) -> Record:
    word = row.get("split", "").strip()
    split = SPLIT_WORDS.get(word.lower())
    if word and split is None:
        raise DataError(
            f"{where}: expected split train, val, test, or nothing. Received: split={word!r}."
        )
    is_file = modality.column == "path"
    return Record(
        path=_check_path(row["path"].strip(), root, where) if is_file else place,
        label=clean_label(row["label"], where=where),
        split=split,
        group=row.get("group", "").strip() or None,
        content=None if is_file else row[modality.column],
        slices=tuple((column, clean_slice(row[column])) for column in extra),
    )


def _check_path(text: str, root: Path, where: str) -> str:
    if not text or "\0" in text:
        raise DataError(f"{where}: expected the path of a file. Received: path={text!r}.")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor:
        raise DataError(
            f"{where}: expected a path relative to {str(root)!r}. Received: path={text!r}. "
            "Write it relative to the folder the CSV lies in."
        )
    # A table written on Windows has backslashes; a file may also really be named so elsewhere.
    if "\\" in text and not (root / text).exists():
        text = text.replace("\\", "/")
    path = posixpath.normpath(text)
    if not (root / path).resolve().is_relative_to(root):
        raise DataError(
            f"{where}: expected a path inside {str(root)!r}. Received: path={text!r}, which leads "
            "out of it. Move the CSV to a folder above the files."
        )
    return path
