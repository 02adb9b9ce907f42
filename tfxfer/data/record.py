"""Labelled samples as DATA names them, before any has been opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.sample import Sample
from tfxfer.system.plain_text import escape_controls

__all__ = [
    "SPLIT_WORDS",
    "Dispute",
    "IgnoredFile",
    "Record",
    "Source",
    "SourceKind",
    "clean_label",
    "make_source",
]

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What names a part of the data, as a folder or in a table's column."""

SourceKind = Literal["folders", "split_folders", "csv"]


@dataclass(frozen=True)
class Record:
    """One labelled sample, as DATA names it.

    Args:
        path: relative to the source's root, with forward slashes; of a sample that is a cell of a
            table, the table's name and the line.
        label: as written; a head decides what it means.
        split: `train`, `val` or `test` where DATA says so.
        group: samples with one group (a patient, a module, a burst) stay on one side of the split.
        content: the cell, where the sample is no file.
        slices: what else DATA says of it, such as its hospital: columns, and the cell of each.
    """

    path: str
    label: str
    split: str | None = None
    group: str | None = None
    content: str | None = None
    slices: tuple[tuple[str, str], ...] = ()

    def locate(self, root: Path) -> Sample:
        """Returns where a modality finds it."""
        path = root / self.path if self.content is None else None
        return Sample(self.path, path, self.content)


@dataclass(frozen=True)
class IgnoredFile:
    """A file in DATA that is not taken for a sample, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dispute:
    """Two rows of a table for one sample, whose labels are written differently.

    Args:
        path: of the sample.
        labels: of the first row and of the other.
        message: what is raised where a head says that they differ.
    """

    path: str
    labels: tuple[str, str]
    message: str


@dataclass(frozen=True)
class Source:
    """Every labelled sample of DATA, sorted by path, before any has been opened.

    Args:
        root: folder that the paths are relative to.
        records: the samples.
        kind: how DATA says what belongs to what.
        ignored: files that are no samples.
        understood: what DATA was taken for, in a line; empty where nothing was to be understood.
        notes: what looks as if something else were meant, a line each.
        disputes: rows that say one sample twice; only a head knows whether they agree.
    """

    root: Path
    records: tuple[Record, ...]
    kind: SourceKind
    ignored: tuple[IgnoredFile, ...] = ()
    understood: str = ""
    notes: tuple[str, ...] = ()
    disputes: tuple[Dispute, ...] = ()


def clean_label(text: str, *, where: str) -> str:
    """Returns a label in one normal form, harmless to print; a head decides what it means.

    Raises:
        DataError: it has several lines, which labels.txt cannot hold.
    """
    # macOS writes folder names in another normal form than everybody else types them.
    label = unicodedata.normalize("NFC", text.strip())
    if len(label.splitlines()) > 1:
        raise DataError(
            f"{where}: expected a label of printable characters, since labels.txt has one per "
            f"line. Received: label={label[:60]!r}. Rename it."
        )
    return escape_controls(label)


def make_source(
    root: Path,
    records: Iterable[Record],
    ignored: Iterable[IgnoredFile],
    modality: Modality,
    *,
    kind: SourceKind,
    understood: str = "",
    notes: Iterable[str] = (),
    disputes: Iterable[Dispute] = (),
) -> Source:
    """Returns the samples sorted by path.

    Raises:
        DataError: there are none.
    """
    records, ignored = tuple(records), tuple(ignored)
    if not records:
        hint = ""
        if ignored:
            first = ignored[0]
            shown = escape_controls(first.path)
            hint = f" The first of {len(ignored)} other files: {shown}, {first.reason}."
        raise DataError(
            f"data {str(root)!r}: expected {modality.plural} in class folders, or rows in a CSV. "
            f"Received: none.{hint}"
        )
    by_path = tuple(sorted(records, key=lambda record: record.path))
    return Source(
        root,
        by_path,
        kind,
        ignored=tuple(sorted(ignored, key=lambda file: file.path)),
        understood=understood,
        notes=tuple(notes),
        disputes=tuple(disputes),
    )
