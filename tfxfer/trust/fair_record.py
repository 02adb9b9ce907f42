"""Which penalty was kept, and what it cost: `trust/fair_training.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fairness import Criterion, Gap
from tfxfer.trust.slice_words import read_gap
from tfxfer.trust.stored import StoredRecord

__all__ = ["MOST_COST", "Effect", "FairTraining", "Rung", "choose_rung"]

MOST_COST = 2.0
"""Points of the headline that may be lost on the validation split."""


@dataclass(frozen=True)
class Rung:
    """One strength, on the validation split.

    Args:
        strength: of the penalty.
        headline: of the head trained so.
        gap: between groups; None where there is none to measure.
        score_gap: the same of the head's scores, which tell finer than answers do.
        cost_points: points of the headline lost, above 0 worse.
    """

    strength: float
    headline: float
    gap: float | None
    score_gap: float
    cost_points: float

    @property
    def distance(self) -> float:
        """How far apart groups are: the mean of both gaps.

        One sample of a small group moves the gap of answers by several points. The gap of scores
        alone would be small for scores that say little.
        """
        return self.score_gap if self.gap is None else (self.gap + self.score_gap) / 2


@dataclass(frozen=True)
class Effect:
    """What the penalty did on one split.

    Args:
        samples: of the split.
        headline_before: without the penalty.
        headline_after: with it.
        cost_points: what was lost, paired by sample, in points or the metric's own unit.
        gap_before: between groups, without the penalty; None where there is none to measure.
        gap_after: with it.
    """

    samples: int
    headline_before: Estimate
    headline_after: Estimate
    cost_points: Estimate
    gap_before: Gap | None
    gap_after: Gap | None


@dataclass(frozen=True)
class FairTraining(StoredRecord):
    """Which penalty was kept, and what it cost; `trust/fair_training.json`.

    Args:
        criterion: what the gap is of.
        column: whose groups.
        groups: their names.
        metric: name of the headline.
        kept: strength of the penalty that was kept; None where none was better than none.
        rungs: what was tried.
        val: what it did on the validation split, by which it was chosen.
        test: what it did on the test split.
    """

    title: ClassVar[str] = "record of a fair training"
    file_name: ClassVar[str] = "fair_training.json"

    criterion: Criterion
    column: str
    groups: tuple[str, ...]
    metric: str
    kept: float | None
    rungs: tuple[Rung, ...]
    val: Effect
    test: Effect

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        name = self.criterion.replace("_", " ")
        if self.kept is None:
            return [
                f"fair by {self.column}: no penalty made the gap in {name} smaller on the "
                "validation split at a cost that is allowed; the model is as it was"
            ]
        lines = [f"fair by {self.column}: penalty {self.kept:g} on the gap in {name}"]
        for split, effect in (("validation", self.val), ("test", self.test)):
            gaps = [effect.gap_before, effect.gap_after]
            words = " → ".join("none" if gap is None else read_gap(gap) for gap in gaps)
            cost = effect.cost_points
            lines.append(
                f"  {split}: gap {words}; {self.metric} {effect.headline_before.value:.4g} → "
                f"{effect.headline_after.value:.4g}, {cost.value:+.2f} lost "
                f"[{cost.low:+.2f}, {cost.high:+.2f}]"
            )
        return lines


def choose_rung(
    rungs: Sequence[Rung], *, before: Rung, most_cost: float = MOST_COST
) -> Rung | None:
    """Returns the strength to keep: of those that cost no more than is allowed the smallest gap.

    Args:
        rungs: what was tried, the weakest first, which is taken of equals.
        before: the head as it was.
        most_cost: points that may be lost.

    Returns:
        None where no penalty leaves a smaller gap than there was, or than there is without one.

    Example:
        >>> before = Rung(0, 0.9, 0.3, 0.3, 0.0)
        >>> rungs = [before, Rung(1, 0.89, 0.1, 0.2, 1.0), Rung(4, 0.8, 0.0, 0.0, 10.0)]
        >>> choose_rung(rungs, before=before).strength
        1
    """
    allowed = [rung for rung in rungs if rung.cost_points <= most_cost]
    if before.gap is None or not allowed:
        return None
    best = min(allowed, key=lambda rung: (rung.distance, rung.strength))
    return best if best.strength > 0 and best.distance < before.distance else None
