"""What became of a training whose samples count by how like the target they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfxfer.adaptation.density_ratio import MOST_RATIO, Ratios
from tfxfer.trust.stored import StoredRecord

__all__ = ["LEAST_EFFECTIVE", "REWEIGHTINGS", "Reweighting", "make_reweighting"]

REWEIGHTINGS = ("target",)
"""What training samples can be weighted by."""

LEAST_EFFECTIVE = 0.25
"""Share of the samples, below which a warning says that few of them are learnt from.

Chosen by what was seen: weights that left 12 to 22 % lost one to five points on three pairs of
looks of pacs3, and those that left half of them gained, see docs/sources.md.
"""

_SHOWN = 5


@dataclass(frozen=True)
class Reweighting(StoredRecord):
    """How much the training samples count; `trust/reweighting.json`.

    The weights themselves are in `trust/weights.csv`.

    Args:
        samples: that were learnt from.
        target: how many samples of the target they were held against.
        effective: how many samples of equal weight they are worth, (Σw)² / Σw².
        clipped: share of them whose ratio was cut off.
        separation: how often a sample of the target looks more like the target than a training
            sample does; .5 by chance.
        strength: of the domain classifier; 0 where none was better than knowing nothing.
        least: the smallest weight; the mean is 1.
        most: the largest.
        heaviest: the samples that count most.
    """

    title: ClassVar[str] = "record of a reweighting"
    file_name: ClassVar[str] = "reweighting.json"

    samples: int
    target: int
    effective: float
    clipped: float
    separation: float
    strength: float
    least: float
    most: float
    heaviest: tuple[str, ...]

    @property
    def share(self) -> float:
        """Which share of the samples they are worth."""
        return self.effective / self.samples

    def find_warning(self) -> str | None:
        """Returns what must be said before anything is trained with these weights; None if nothing.

        Source:
            A small effective sample size means a large variance of whatever is averaged: Kong 1992.
        """
        if self.share >= LEAST_EFFECTIVE:
            return None
        return (
            f"--reweight target: the {self.samples:,} training samples are worth "
            f"{self.effective:.0f} of equal weight, {self.share:.0%} of them: few look like the "
            "target, and the model learns from those. Weights cannot bridge looks that hardly "
            "overlap; --adapt auto may"
        )

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        if self.strength == 0:
            return [
                f"weighted by the target: no; no classifier tells its {self.target:,} samples from "
                f"the {self.samples:,} that were learnt from, and all of these count the same"
            ]
        lines = [
            f"weighted by the target: {self.samples:,} training samples are worth "
            f"{self.effective:.0f} of equal weight ({self.share:.0%}), weights {self.least:.2g} "
            f"to {self.most:.2g}",
            f"  a classifier tells a sample of the target from one of these {self.separation:.0%} "
            "of the time (50 % is chance)",
        ]
        if self.clipped:
            lines.append(f"  {self.clipped:.1%} of the ratios were above {MOST_RATIO:g}, and cut")
        return [*lines, f"  counting most: {', '.join(self.heaviest)}"]


def make_reweighting(found: Ratios, paths: Sequence[str], target: int) -> Reweighting:
    """Returns the record of some weights.

    Args:
        found: the weights.
        paths: of the samples.
        target: how many samples of the target there were.
    """
    order = np.argsort(-found.weights, kind="stable")[:_SHOWN]
    return Reweighting(
        samples=len(paths),
        target=target,
        effective=found.effective,
        clipped=found.clipped,
        separation=found.separation,
        strength=found.strength,
        least=float(found.weights.min()),
        most=float(found.weights.max()),
        heaviest=tuple(paths[index] for index in order.tolist()),
    )
