"""Labelled samples as DATA names them, before any has been opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfxfer.errors import DataError
from tfxfer.modality import Modality, Sample

__all__ = ["SPLIT_WORDS", "IgnoredFile", "Record", "Source", "check_label", "make_source"]

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

_MAX_LABEL_LENGTH = 200


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
    """

    path: str
    label: str
    split: str | None = None
    group: str | None = None
    content: str | None = None

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
class Source:
    """Every labelled sample of DATA, sorted by path, before any has been opened."""

    root: Path
    records: tuple[Record, ...]
    kind: Literal["folders", "split_folders", "csv"]
    ignored: tuple[IgnoredFile, ...] = ()


def check_label(text: str, *, where: str) -> str:
    """Returns a label in one normal form.

    Raises:
        DataError: nothing, too long, or characters that labels.txt cannot hold.
    """
    # macOS writes folder names in another normal form than everybody else types them.
    label = unicodedata.normalize("NFC", text.strip())
    if not label:
        raise DataError(f"{where}: expected a label. Received: nothing. Fill it in.")
    if len(label) > _MAX_LABEL_LENGTH or not label.isprintable():
        raise DataError(
            f"{where}: expected a label of at most {_MAX_LABEL_LENGTH} printable characters, since "
            f"labels.txt has one per line. Received: label={label[:60]!r}, "
            f"{len(label)} characters. Rename it."
        )
    return label


def make_source(
    root: Path,
    records: Iterable[Record],
    ignored: Iterable[IgnoredFile],
    modality: Modality,
    *,
    kind: Literal["folders", "split_folders", "csv"],
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
            hint = f" The first of {len(ignored)} other files: {first.path}, {first.reason}."
        raise DataError(
            f"data {str(root)!r}: expected {modality.plural} in class folders, or rows in a CSV. "
            f"Received: none.{hint}"
        )
    by_path = tuple(sorted(records, key=lambda record: record.path))
    return Source(root, by_path, kind, tuple(sorted(ignored, key=lambda file: file.path)))
