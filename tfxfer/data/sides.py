"""What a split leaves too little of: classes on one side, and parts of a few samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfxfer.data.audit import Inspection
from tfxfer.data.problems import Problem
from tfxfer.data.split import PARTS
from tfxfer.evaluation.scoring import FEW_SAMPLES
from tfxfer.modality import Modality

__all__ = ["describe_small_parts", "note_absent_labels", "note_one_sided"]


def note_one_sided(
    inspection: Inspection, strata: Sequence[str], parts: np.ndarray, modality: Modality
) -> Inspection:
    """Says of which classes nothing is left to choose by or to test with.

    Near copies stay on one side, so a class that is all one scene lies in train alone.
    """
    everywhere = set(parts.tolist())
    members: dict[str, list[int]] = {}
    for index, name in enumerate(strata):
        members.setdefault(name, []).append(index)
    problems = []
    for name, chosen in sorted(members.items()):
        found = set(parts[chosen].tolist())
        missing = [part for part in PARTS if part in everywhere - found]
        if missing:
            where = " and ".join(part for part in PARTS if part in found)
            sides = len(set(inspection.duplicates[chosen].tolist()))
            why = "are copies of one another and " if sides == 1 else ""
            words = (
                f"its {len(chosen):,} {modality.plural} {why}lie in {where} alone: no figure "
                f"of {' or '.join(missing)} says how well it is told"
            )
            problems.append(Problem(name, "one_sided_class", words, False))
    return replace(inspection, problems=inspection.problems + tuple(problems))


def note_absent_labels(
    inspection: Inspection,
    targets: np.ndarray,
    labels: Sequence[str],
    parts: np.ndarray,
    modality: Modality,
) -> Inspection:
    """Says of which labels nothing is left to choose by or to test with, where a sample has many.

    Args:
        inspection: of the samples.
        targets: 0 and 1; others are no labels, and nothing is said.
        labels: the outputs' names.
        parts: of each sample.
        modality: what to call a sample.

    Shapes: targets (samples, labels); parts (samples,).
    """
    if targets.shape[1] != len(labels) or not ((targets == 0) | (targets == 1)).all():
        return inspection
    there = [part for part in PARTS if (parts == part).any()]
    problems = []
    for label, column in zip(labels, targets.T, strict=True):
        has = {part for part in there if column[parts == part].any()}
        missing = [part for part in there if part not in has]
        if missing and has:
            where = " and ".join(part for part in there if part in has)
            words = (
                f"its {int(column.sum()):,} {modality.plural} lie in {where} alone: no figure of "
                f"{' or '.join(missing)} says how well it is told"
            )
            problems.append(Problem(label, "one_sided_class", words, False))
    return replace(inspection, problems=inspection.problems + tuple(problems))


def describe_small_parts(parts: np.ndarray, modality: Modality) -> tuple[str, ...]:
    """Returns what is to be known of parts so small that their figures mean little, a line each.

    Args:
        parts: of each sample.
        modality: what to call a sample.
    """
    counts = {part: int((parts == part).sum()) for part in ("val", "test")}
    few = {part: count for part, count in counts.items() if 0 < count < FEW_SAMPLES}
    if not few:
        return ()
    held = " and ".join(f"{count:,} {part}" for part, count in few.items())
    worth = " and ".join(f"{100 / count:.0f} of {part}" for part, count in few.items())
    return (
        f"{len(parts):,} {modality.plural} in all, {held} among them: one {modality.noun} is so "
        f"many points of a share: {worth}. Figures of so few mean little",
    )
