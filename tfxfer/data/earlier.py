"""The split of an earlier run, for the samples that it knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tfxfer.data.audit import Inspection
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import DataError
from tfxfer.modality import Modality

__all__ = ["follow_split"]


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
