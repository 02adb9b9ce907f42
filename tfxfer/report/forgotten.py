"""The section on what a training has forgotten of the run that it went on from."""

from __future__ import annotations

from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section
from tfxfer.report.words import make_sentence
from tfxfer.trust.estimate import Estimate

__all__ = ["make_forgotten"]


def make_forgotten(material: Material) -> Section | None:
    """Returns the labels of the earlier run before and after; None where there was no such run."""
    record = material.forgetting
    if record is None:
        return None
    first, *_ = record.describe()
    parts: list[Part] = [Note(make_sentence(first))]
    if record.labels:
        rows = tuple(
            (row.label, f"{row.samples:,}", _write(row.before), _write(row.after))
            for row in record.labels
        )
        title = f"How many of the earlier run's test {material.modality.plural} are found"
        parts.append(Table(title, ("label", material.modality.plural, "before", "after"), rows))
    return Section("forgotten", "What was forgotten", tuple(parts))


def _write(share: Estimate) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
