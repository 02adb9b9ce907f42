"""What an earlier run settles for a later one: parts of the samples that it knows, and labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfxfer.data.audit import Inspection, Problem
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import DataError
from tfxfer.modality import Modality

__all__ = ["Earlier", "follow_split", "keep_parts"]


@dataclass(frozen=True)
class Earlier:
    """The run that a training goes on from, as far as its samples are concerned.

    Args:
        labels: of its outputs, in order; those that are new come after them.
        split_files: its `split.csv`, and those of the runs that it went on from itself: what they
            have learnt from is not tested with, nor the other way.
    """

    labels: tuple[str, ...]
    split_files: tuple[Path, ...]


def keep_parts(inspection: Inspection, earlier: Earlier) -> Inspection:
    """Returns the samples with the parts that an earlier run had them in, known by their content.

    A sample that DATA puts into another part itself, to learn from what the earlier run was tested
    with or the other way, is left out. Paths say nothing here: these are other samples, in another
    folder, that may be numbered alike.

    Args:
        inspection: of the samples of a later run.
        earlier: that run.

    Raises:
        DataError: no such table.
    """
    rows = [row for table in earlier.split_files for row in read_split_table(table)]
    known = _index((row.fingerprint, row) for row in rows if row.fingerprint)
    parts = [known.get(shorten_sha256(sha256)) for sha256 in inspection.sha256s]
    leaks = [
        Problem(
            record.path,
            "split_leak",
            f"in {record.split}, but {part} of the run that this goes on from",
            True,
        )
        if part and record.split and (part == "test") != (record.split == "test")
        else None
        for record, part in zip(inspection.records, parts, strict=True)
    ]
    records = tuple(
        record if record.split else replace(record, split=part)
        for record, part in zip(inspection.records, parts, strict=True)
    )
    found = [problem for problem in leaks if problem is not None]
    stays = np.array([problem is None for problem in leaks], bool)
    return replace(inspection, records=records).keep(stays, found)


def follow_split(
    inspection: Inspection, table: str | Path, modality: Modality
) -> tuple[Inspection, str]:
    """Returns the samples with the parts that an earlier split gave them, and how many it knew.

    A sample is known by its content, wherever it lies now, and else by its path: an edited photo
    stays where it was. The others have no part.

    Args:
        inspection: of samples that have no parts of their own.
        table: the `split.csv` of an earlier run.
        modality: what to call a sample.

    Raises:
        DataError: no such table, samples with parts of their own, or none that it knows.
    """
    name = f"split of {str(table)!r}"
    own = next((record for record in inspection.records if record.split), None)
    if own is not None:
        raise DataError(
            f"{name}: expected {modality.plural} that have no parts of their own. Received: "
            f"{own.path!r} in {own.split}. Leave --split-from out."
        )
    rows = read_split_table(table)
    by_content = _index((row.fingerprint, row) for row in rows if row.fingerprint)
    by_path = {row.path: row.split for row in rows}
    parts = [
        by_content.get(shorten_sha256(sha256)) or by_path.get(record.path)
        for record, sha256 in zip(inspection.records, inspection.sha256s, strict=True)
    ]
    known = sum(part is not None for part in parts)
    if not known:
        raise DataError(
            f"{name}: expected {modality.plural} of that run among these. Received: "
            f"{len(parts):,} {modality.plural}, none of which it knows. "
            "Leave --split-from out, or name the run that was trained on them."
        )
    records = tuple(
        replace(record, split=part) for record, part in zip(inspection.records, parts, strict=True)
    )
    words = (
        f"{known:,} of {len(parts):,} {modality.plural} are where {str(Path(table).parent)!r} "
        f"had them, {len(parts) - known:,} are new to it"
    )
    return replace(inspection, records=records), words


def _index(pairs: Iterable[tuple[str, SplitRow]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for fingerprint, row in pairs:
        # Copies of one content on two sides are of a table made by hand: test judges.
        if found.get(fingerprint) != "test":
            found[fingerprint] = row.split
    return found
