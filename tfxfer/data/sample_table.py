"""Samples in the rows of a table: paths of files, or the samples themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfxfer.data.cells import Cells, Row, read_cells
from tfxfer.data.columns import (
    FILE_COLUMN,
    ChosenColumns,
    Columns,
    choose_columns,
    refuse_columns,
)
from tfxfer.data.inside import Inside
from tfxfer.data.record import (
    SPLIT_WORDS,
    Dispute,
    Record,
    Source,
    clean_label,
    make_source,
)
from tfxfer.data.slice_table import clean_slice, find_columns
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.system.plain_text import escape_controls

__all__ = ["read_sample_table"]

_ROWS_TOLD = 10_000  # between two words of how far it is: a few hundredths of a second


def read_sample_table(
    path: Path,
    modality: Modality,
    columns: Columns | None = None,
    *,
    progress: Progress | None = None,
) -> Source:
    """Lists the samples of a table; see `tfxfer.data.read_source`."""
    columns = columns or Columns()
    # The folder is resolved, the file is not: a linked table still sits beside its files.
    root = path.parent.resolve()
    name = f"table {str(path)!r}"
    table = read_cells(
        path, lambda names: choose_columns(names, modality, columns) is not None, where=name
    )
    chosen = choose_columns(table.names, modality, columns)
    if chosen is None:
        raise refuse_columns(table.names, modality, columns, where=name)
    _refuse_odd(table, chosen, name)
    lower = [escape_controls(each.lower()) for each in table.names]
    taken = {chosen.sample, chosen.label, chosen.split, chosen.group}
    slices = find_columns(lower, lower[chosen.sample])
    extra = [i for i, each in enumerate(lower) if i not in taken and each in slices]
    rows = _Rows(chosen, [(lower[i], i) for i in extra], Inside(root), name, path.name, modality)
    told = _tell(table.rows, progress)
    if chosen.holds_files:
        records, disputes, unsure = _join_rows(rows, told)
    else:
        records, disputes, unsure = [rows.read(*row) for row in told], [], 0
    notes = list(table.notes)
    if unsure:
        notes.append(
            f"{unsure:,} of the {modality.plural} have rows that differ in further columns, "
            f"{', '.join(lower[i] for i in extra)}: where they do, nothing is taken for known"
        )
    return make_source(
        root,
        records,
        (),
        modality,
        kind="csv",
        understood=f"understood {escape_controls(path.name)} as a table of {len(table.rows):,} "
        f"rows{_describe_columns(table, chosen, modality)}",
        notes=notes,
        disputes=disputes,
    )


@dataclass
class _Rows:
    """Rows of one table as samples; what many rows have is worked out once.

    Args:
        chosen: which columns are what.
        extra: names and numbers of the slices' columns.
        inside: holds paths to the folder of the table.
        where: the table, for messages.
        place: its name, which samples that are cells are called by, and their line.
        modality: what a sample is.
    """

    chosen: ChosenColumns
    extra: list[tuple[str, int]]
    inside: Inside
    where: str
    place: str
    modality: Modality
    labels: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str | None] = field(default_factory=lambda: {"": None})

    def read(self, line: int, cells: Sequence[str]) -> Record:
        """Returns what a row says."""
        chosen = self.chosen
        written = cells[chosen.label]
        label = self.labels.get(written)
        if label is None:
            label = clean_label(written, where=f"{self.where}, line {line}")
            self.labels[written] = label
        split = group = None
        if chosen.split is not None:
            word = cells[chosen.split]
            if word not in self.splits:
                self.splits[word] = self._read_split(word, line)
            split = self.splits[word]
        if chosen.group is not None:
            group = cells[chosen.group].strip() or None
        slices = tuple((column, clean_slice(cells[number])) for column, number in self.extra)
        if chosen.holds_files:
            where = f"{self.where}, line {line}"
            path = self.inside.check_path(cells[chosen.sample].strip(), where=where)
            return Record(path, label, split, group, None, slices)
        place = f"{self.place}:{line}"
        return Record(place, label, split, group, cells[chosen.sample], slices)

    def _read_split(self, word: str, line: int) -> str | None:
        split = SPLIT_WORDS.get(word.strip().lower())
        if word.strip() and split is None:
            raise DataError(
                f"{self.where}, line {line}: expected split train, val, test, or nothing. "
                f"Received: split={word.strip()!r}."
            )
        return split


def _tell(rows: Sequence[Row], progress: Progress | None) -> Iterator[Row]:
    """Yields the rows, and says now and then how many there were."""
    for number, row in enumerate(rows):
        if progress is not None and number % _ROWS_TOLD == 0:
            progress("reading rows", number, len(rows))
        yield row
    if progress is not None:
        progress("reading rows", len(rows), len(rows))


def _join_rows(rows: _Rows, told: Iterable[Row]) -> tuple[list[Record], list[Dispute], int]:
    """Returns the files of a table, rows whose labels may differ, and files with doubtful slices.

    Raises:
        DataError: two rows for one file that do not agree.
    """
    records: dict[str, Record] = {}
    first_line: dict[str, int] = {}
    disputes = []
    unsure: set[str] = set()
    for line, cells in told:
        record = rows.read(line, cells)
        known = records.setdefault(record.path, record)
        if known is record:
            first_line[record.path] = line
            continue
        if known.slices != record.slices:
            # One row for each of several things in a picture: no slice is the picture's.
            known = replace(known, slices=_keep_equal(known.slices, record.slices))
            records[record.path] = known
            record = replace(record, slices=known.slices)
            unsure.add(record.path)
        if known != record:
            message = (
                f"{rows.where}, line {line}: expected one row per {rows.modality.noun}. Received: "
                f"path={record.path!r} with {_row_values(record)}, and {_row_values(known)} on "
                f"line {first_line[record.path]}. Remove one row."
            )
            if replace(record, label=known.label) != known:
                raise DataError(message)
            # Only a head can say whether `a|b` and `b|a` are the same.
            disputes.append(Dispute(record.path, (known.label, record.label), message))
    return list(records.values()), disputes, len(unsure)


def _refuse_odd(table: Cells, chosen: ChosenColumns, where: str) -> None:
    wanted = (chosen.sample, chosen.label, chosen.split, chosen.group)
    for number in wanted:
        if number is not None and number in table.odd and number in wanted[:2]:
            line, what = table.odd[number]
            raise DataError(
                f"{where}, line {line}: expected text, a number, true, false or null as "
                f"{table.names[number]!r}. Received: {what}. Write it as one text."
            )


def _describe_columns(table: Cells, chosen: ChosenColumns, modality: Modality) -> str:
    """Returns which columns were taken, where they are not called as ever."""
    sample, label = table.names[chosen.sample], table.names[chosen.label]
    if sample.lower() in (modality.column, FILE_COLUMN) and label.lower() == "label":
        return ""
    return (
        f": {modality.plural} in {escape_controls(sample)!r}, labels in {escape_controls(label)!r}"
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
