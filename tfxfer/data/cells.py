"""Files of tables → names of columns, and rows of cells: CSV, tab-separated, JSON lines.

Everything here takes time and memory in proportion to the file, once.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tfxfer.errors import DataError
from tfxfer.system.bounded import MOST_TABLE_BYTES, LargeFileError, read_bytes
from tfxfer.system.encoding import decode_text, mend_surrogates

__all__ = ["JSON_LINES", "Cells", "Fits", "Row", "is_table", "read_cells", "unlimited_cells"]

JSON_LINES = (".jsonl", ".ndjson")
"""Endings of files that have a JSON object on each line."""

_TABLES = (".csv", ".tsv", *JSON_LINES)
_DELIMITERS = (",", ";", "\t")
_SHOWN = 80
_MOST_CELLS = 100_000_000
"""Of JSON lines, absent ones included: a table of a million rows may have 100 columns. A cell takes
eight bytes."""

Fits: TypeAlias = Callable[[Sequence[str]], bool]
"""Tells whether columns of these names can be meant."""

Row: TypeAlias = tuple[int, Sequence[str]]
"""Where it ends in the file, counted in lines from 1, and its cells."""


@dataclass(frozen=True)
class Cells:
    """What a table holds.

    Args:
        names: of its columns, as they are written, without blanks around.
        rows: without those that are empty.
        notes: what is to be known of how it was read, a line each.
        odd: of columns that are no cells somewhere, the first line where, and what is there.
    """

    names: tuple[str, ...]
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    odd: Mapping[int, tuple[int, str]] = field(default_factory=dict)


def is_table(path: str | Path) -> bool:
    """Returns whether a name is that of a table, by its ending."""
    return str(path).lower().endswith(_TABLES)


def read_cells(path: Path, fits: Fits, *, where: str) -> Cells:
    """Reads a whole table.

    Args:
        path: of the file; its ending says whether each line is a JSON object.
        fits: told the names of columns, for the delimiter is the one that makes them be meant; of
            several candidates the first, and of none the one that cuts most.
        where: the table, for messages.

    Raises:
        DataError: other bytes than UTF-8, or rows that are none.
    """
    try:
        text = decode_text(read_bytes(path, MOST_TABLE_BYTES))
    except LargeFileError as error:
        raise DataError(f"{where}: expected a smaller table. Received: {error}.") from error
    except ValueError as error:
        raise DataError(f"{where}: expected a table in UTF-8. Received: {error}.") from error
    if path.suffix.lower() in JSON_LINES:
        return _read_json_lines(text, where)
    heading = next((line for line in text.splitlines() if line.strip()), "")
    # Of one column the heading tells no delimiter: the ending does.
    likely = _DELIMITERS if path.suffix.lower() != ".tsv" else _DELIMITERS[::-1]
    choices = {delimiter: _split_heading(heading, delimiter) for delimiter in likely}
    good = [delimiter for delimiter, names in choices.items() if fits(names)]
    delimiter = good[0] if good else max(choices, key=lambda each: len(choices[each]))
    names = choices[delimiter]
    if not good:
        return Cells(names, ())
    read = _read_tabs if delimiter == "\t" else _read_quoted
    rows = read(text, delimiter, len(names), where)
    return Cells(names, rows[1:])


@contextlib.contextmanager
def unlimited_cells() -> Iterator[None]:
    """Lets Python's reader take a cell of more than 131,072 characters, until it is left."""
    with _LIMIT:
        before = csv.field_size_limit(sys.maxsize)
        try:
            yield
        finally:
            csv.field_size_limit(before)


_LIMIT = threading.Lock()  # the limit is the process's own


def _split_heading(line: str, delimiter: str) -> tuple[str, ...]:
    with unlimited_cells():
        cells = next(csv.reader([line], delimiter=delimiter), [])
    return tuple(cell.strip() for cell in cells)


def _read_quoted(text: str, delimiter: str, width: int, where: str) -> list[Row]:
    """Reads rows as RFC 4180 has them, whose cells may hold delimiters and lines within quotes."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        with unlimited_cells():
            for cells in reader:
                if len(cells) != width:
                    if any(map(str.strip, cells)):
                        raise _refuse_width(where, reader.line_num, width, len(cells), delimiter)
                elif any(map(str.strip, cells)):
                    rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num}: expected a CSV. Received: {error}. Within a cell "
            'that has quotes around it, a quote is written twice: "say ""hi""".'
        ) from error
    return rows


def _read_tabs(text: str, delimiter: str, width: int, where: str) -> list[Row]:
    """Reads rows with tabs between their cells.

    Few programs that write tabs write quotes, too, and a message may begin with one that nothing
    ends: taken for a CSV's, it would swallow every row up to the next. So a line is a row, and a
    quote a character, unless the quotes can only be a CSV's: every cell that has one is enclosed in
    a pair, and has those within doubled; or lines are no rows, as within such a pair.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    tabs = width - 1
    uneven = next(
        (n for n, line in enumerate(lines) if line.count("\t") != tabs and line.strip()), None
    )
    if uneven is not None:
        try:
            return _read_quoted(text, delimiter, width, where)
        except DataError:
            received = lines[uneven].count("\t") + 1
            raise _refuse_width(where, uneven + 1, width, received, delimiter) from None
    rows = [(n, line.split("\t")) for n, line in enumerate(lines, 1) if line.strip()]
    if '"' in text:
        quoted = [(n, i) for n, (_, row) in enumerate(rows) for i, x in enumerate(row) if '"' in x]
        if all(_is_enclosed(rows[n][1][i]) for n, i in quoted):
            for n, i in quoted:
                rows[n][1][i] = rows[n][1][i][1:-1].replace('""', '"')
    return list(rows)


def _is_enclosed(cell: str) -> bool:
    within = cell[1:-1]
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in within.replace('""', "")


def _refuse_width(where: str, line: int, width: int, found: int, delimiter: str) -> DataError:
    return DataError(
        f"{where}, line {line}: expected {width} cells, as in the first line. Received: {found}. "
        f"Put quotes around cells with a {delimiter!r} or a line break."
    )


def _read_json_lines(text: str, where: str) -> Cells:
    """Reads one object a line; its keys are columns, in order of arrival."""
    objects: list[tuple[int, dict[str, Any]]] = []
    names: dict[str, None] = {}
    # Not `splitlines`: JSON may hold what else breaks lines, such as U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        found = _read_object(line, f"{where}, line {number}")
        objects.append((number, found))
        if len(found) != len(names) or any(key not in names for key in found):
            names.update(dict.fromkeys(found))
            if len(names) * len(objects) > _MOST_CELLS:
                raise DataError(
                    f"{where}, line {number}: expected the same keys on each line, which are the "
                    f"columns. Received: {len(names):,} different ones on {len(objects):,} lines, "
                    f"more than {_MOST_CELLS:,} cells. Leave out those that few lines have."
                )
    keys = tuple(names)
    has_escapes = "\\u" in text  # the only way that a file in UTF-8 has to half a character
    odd: dict[int, tuple[int, str]] = {}
    mended, rows = 0, []
    for number, found in objects:
        cells = []
        for column, key in enumerate(keys):
            value = found.get(key, _ABSENT)
            if not isinstance(value, str):
                if value is _ABSENT or isinstance(value, (list, dict)):
                    odd.setdefault(column, (number, _name_kind(value)))
                value = _write_value(value)
            cells.append(value)
        if has_escapes:
            whole = [mend_surrogates(cell) for cell in cells]
            mended += sum(a != b for a, b in zip(cells, whole, strict=True))
            cells = whole
        rows.append((number, cells))
    what = "cell holds" if mended == 1 else "cells hold"
    notes = (f"{mended:,} {what} half of a surrogate pair: it is read as U+FFFD",)
    columns = tuple(mend_surrogates(key).strip() for key in keys)
    return Cells(columns, rows, notes if mended else (), odd)


_ABSENT = object()


def _read_object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        first = str(error).partition(": line")[0] or type(error).__name__
        hint = ""
        if line.lstrip()[:1] in "[{" and len(line.strip()) < 3:
            hint = " Write each on one line: jq -c '.[]' OLD.json > NEW.jsonl"
        raise DataError(
            f"{where}: expected one JSON object, whole on its line. Received: "
            f"{line.strip()[:_SHOWN]!r}: {first}.{hint}"
        ) from error
    if not isinstance(found, dict):
        raise DataError(
            f"{where}: expected one JSON object, whose keys are the columns. Received: "
            f'{line.strip()[:_SHOWN]!r}. Write it so: {{"text": …, "label": …}}'
        )
    return found


def _name_kind(value: Any) -> str:
    if value is _ABSENT:
        return "no such key"
    return "a list" if isinstance(value, list) else "an object"


def _write_value(value: Any) -> str:
    """Returns a value as a cell of a CSV would have it: `true` and `1.5` as JSON writes them."""
    if value is None or value is _ABSENT or isinstance(value, (list, dict)):
        return ""
    return json.dumps(value)
