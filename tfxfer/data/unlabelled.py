"""Samples that nobody has labelled: rows of a table, and lines that are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfxfer.data.cells import read_cells
from tfxfer.data.columns import FILE_COLUMN, Columns
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.sample import Sample
from tfxfer.system.encoding import decode_text
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.spelling import did_you_mean

__all__ = ["read_lines", "read_unlabelled_table"]

_SHOWN = 12


def read_unlabelled_table(
    path: Path, modality: Modality, columns: Columns | None = None
) -> tuple[Sample, ...]:
    """Lists the samples of a table, which need no labels.

    Args:
        path: of the file.
        modality: says which column holds the samples.
        columns: what the table calls it, where that is not the modality's own name or `path`.

    Raises:
        DataError: no such column, no row, or a file that is no table.
    """
    columns = columns or Columns()
    where = f"table {str(path)!r}"
    table = read_cells(path, lambda names: _find(names, modality, columns) is not None, where=where)
    chosen = _find(table.names, modality, columns)
    if chosen is None:
        wanted = columns.sample or modality.column
        listed = ", ".join(repr(escape_controls(name))[:60] for name in table.names[:_SHOWN])
        raise DataError(
            f"{where}: expected a column {wanted!r} of {modality.plural}. Received: the columns "
            f"{listed or 'nothing'}.{did_you_mean(wanted, table.names)} Name it: "
            "--sample-column NAME"
        )
    number, holds_files = chosen
    if not table.rows:
        raise DataError(f"{where}: expected {modality.plural} in it. Received: no row.")
    places = [(f"{path}:{line}", row[number]) for line, row in table.rows]
    if holds_files:
        return tuple(Sample(str(path.parent / x), path.parent / x) for _, x in places)
    return tuple(Sample(place, content=cell) for place, cell in places)


def read_lines(data: bytes, *, where: str) -> tuple[str, ...]:
    """Returns the lines of some bytes.

    Args:
        data: in UTF-8.
        where: they came from, for messages.

    Raises:
        DataError: other bytes than UTF-8, or no line.
    """
    try:
        text = decode_text(data)
    except ValueError as error:
        raise DataError(f"{where}: expected lines in UTF-8. Received: {error}.") from error
    # Not `splitlines`: a text may hold what else breaks lines, such as U+2028.
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines == [""]:
        raise DataError(f"{where}: expected one sample on each line. Received: nothing.")
    return tuple(lines)


def _find(names: Sequence[str], modality: Modality, columns: Columns) -> tuple[int, bool] | None:
    """Returns which column holds the samples, and whether as files; None where none does."""
    folded = [name.casefold() for name in names]
    usual = [modality.column, *[FILE_COLUMN] * modality.reads_files]
    wanted = usual if columns.sample is None else [columns.sample]
    if columns.are_remembered:
        wanted += usual
    for name in wanted:
        if folded.count(name.casefold()) == 1:
            is_path = modality.reads_files and name.casefold() == FILE_COLUMN
            return folded.index(name.casefold()), is_path or not modality.reads_cells
    return None
