"""Classes that a split leaves on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfxfer.data.audit import Inspection
from tfxfer.data.problems import Problem
from tfxfer.data.split import PARTS
from tfxfer.modality import Modality

__all__ = ["note_one_sided"]


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
