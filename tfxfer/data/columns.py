"""Which columns of a table hold the samples, the labels, the split and the groups."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.system.plain_text import escape_controls
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "FILE_COLUMN",
    "SOURCE_FOLDERS",
    "ChosenColumns",
    "Columns",
    "choose_columns",
    "refuse_columns",
]

FILE_COLUMN = "path"
"""What a column of files is called in every table, whatever its modality."""

SOURCE_FOLDERS = "folders"
"""What a user says in place of a column where each folder in DATA is a source."""

_SHOWN = 12
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Columns:
    """What a person calls the columns of a table.

    Args:
        sample: holds the samples, or where their files are; None is the modality's own name.
        label: holds the labels; None is `label`.
        are_remembered: whether they were told for other data, such as what a run learnt from: a
            table that does not have both is then read by the usual names, and a folder that does
            not hold sources as one of class folders.
        has_sources: whether a folder, which has no columns, holds one folder a source, each with
            class folders.
    """

    sample: str | None = None
    label: str | None = None
    are_remembered: bool = False
    has_sources: bool = False

    @classmethod
    def of_request(cls, request: Mapping[str, Any]) -> Self:
        """Returns those that a run was asked for, for whatever it is shown later."""
        return cls(
            request.get("sample_column"),
            request.get("label_column"),
            are_remembered=True,
            has_sources=request.get("domain") == SOURCE_FOLDERS,
        )

    def or_else(self, others: Columns) -> Columns:
        """Returns these where a name was given, and the others where none was."""
        return others if self.sample is None and self.label is None else self


@dataclass(frozen=True)
class ChosenColumns:
    """Where in a row things are; None where the table does not say.

    Args:
        sample: number of the column.
        label: number of the column.
        split: number of the column.
        group: number of the column.
        holds_files: whether the samples are files that the table names.
    """

    sample: int
    label: int
    split: int | None
    group: int | None
    holds_files: bool


def choose_columns(
    names: Sequence[str], modality: Modality, columns: Columns
) -> ChosenColumns | None:
    """Returns which columns are meant; None where one of the two that must be there is not.

    A name is meant as it is written, or else in whatever case. Where nobody names the samples'
    column, it is the modality's own, else, where its samples may be files, `path`.

    Args:
        names: of the columns, in order.
        modality: of the samples.
        columns: what a person calls them.
    """
    found = _choose(names, modality, columns)
    if found is None and columns.are_remembered:
        found = _choose(names, modality, Columns())
    return found


def refuse_columns(
    names: Sequence[str], modality: Modality, columns: Columns, *, where: str
) -> DataError:
    """Returns the error of a table whose columns cannot be meant.

    Args:
        names: of its columns.
        modality: of the samples.
        columns: what a person calls them.
        where: the table, for messages.
    """
    listed = ", ".join(repr(_shorten(name)) for name in names[:_SHOWN]) or "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    wanted = (
        (columns.sample, "--sample-column"),
        (columns.label, "--label-column"),
    )
    for name, option in () if columns.are_remembered else wanted:
        if name is not None and not _find(names, name):
            return DataError(
                f"{where}: expected a column {name!r} ({option}). Received: the columns "
                f"{listed}{more}.{did_you_mean(name, names)}"
            )
    sample, label = columns.sample or modality.column, columns.label or "label"
    absent = [
        (name, option)
        for name, option in ((sample, "--sample-column"), (label, "--label-column"))
        if not _find(names, name)
    ]
    twice = [name for name in (sample, label, "split", "group") if len(_find(names, name)) > 1]
    if twice and not absent:
        return DataError(
            f"{where}: expected each column once. Received: {twice[0]!r} several times among "
            f"{listed}{more}."
        )
    lacks = " and ".join(f"no {name!r}" for name, _ in absent) or "one column for both"
    hints = "".join(did_you_mean(name, names) for name, _ in absent)
    options = " ".join(f"{option} NAME" for _, option in absent)
    return DataError(
        f"{where}: expected a first line with the columns {sample},{label}[,split][,group]. "
        f"Received: {listed}{more}, and {lacks}.{hints} Add the line where there is none; if "
        f"another column is meant, name it: {options or '--label-column NAME'}"
    )


def _choose(names: Sequence[str], modality: Modality, columns: Columns) -> ChosenColumns | None:
    candidates = [columns.sample] if columns.sample is not None else [modality.column]
    if columns.sample is None and modality.reads_files:
        candidates.append(FILE_COLUMN)
    label = _find(names, columns.label or "label")
    for name in candidates:
        sample = _find(names, name)
        if len(sample) == 1 and len(label) == 1 and sample != label:
            break
    else:
        return None
    others = [_find(names, each) for each in ("split", "group")]
    if any(len(each) > 1 for each in others):
        return None
    split, group = (each[0] if each and each[0] not in (*sample, *label) else None
                    for each in others)  # fmt: skip
    holds_files = not modality.reads_cells or (modality.reads_files and _fold(name) == FILE_COLUMN)
    return ChosenColumns(sample[0], label[0], split, group, holds_files)


def _find(names: Sequence[str], wanted: str) -> list[int]:
    """Returns the columns of a name: as it is written, or else in whatever case."""
    exact = [number for number, name in enumerate(names) if name == wanted]
    folded = _fold(wanted)
    return exact or [number for number, name in enumerate(names) if _fold(name) == folded]


def _shorten(name: str) -> str:
    shown = escape_controls(name)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()
