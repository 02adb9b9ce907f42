"""Which training fits a budget."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import UsageError
from tfxfer.fine_tuning import FineTuning
from tfxfer.schedule import Phase
from tfxfer.training.cost import Workload, estimate_seconds
from tfxfer.training.ladder import Rung, list_rungs, make_phases
from tfxfer.training.speeds import Speeds

__all__ = ["BudgetedSchedule", "choose_schedule"]

# A budget is kept by planning for a slower machine; once an epoch has run, the number of epochs
# follows what it took (`Pace`), so that little is wasted.
_SAFETY = 1.05


@dataclass(frozen=True)
class BudgetedSchedule:
    """A schedule that fits a budget.

    Args:
        schedule: phases.
        views: versions of each sample that epochs draw among.
        last_seconds: of these, what the phase at full size takes after one at a smaller size.
        seconds: what it is expected to take, evaluation included.
        fits: False where not even the shortest training fits.
        loss: points of accuracy that it is expected to lose against the largest training.
        next_seconds: what the next better one would take; None where there is none.
    """

    schedule: tuple[Phase, ...]
    views: int
    last_seconds: float
    seconds: float
    fits: bool
    loss: float
    next_seconds: float | None


def choose_schedule(
    speeds: Speeds,
    shares: dict[str | None, float],
    stages: Sequence[str],
    *,
    seconds: float,
    work: Workload,
    sizes: Sequence[int] = (1,),
    augment: bool = True,
    advice: FineTuning | None = None,
) -> BudgetedSchedule:
    """Returns the schedule that loses least among those that fit.

    What is left of the time goes into more epochs of the second phase.

    Args:
        speeds: of this machine.
        shares: from `macs_share`.
        stages: names of the backbone's stages, the last being `backbone`.
        seconds: left of the budget.
        work: how many samples.
        sizes: that the input may have, the one of `speeds` first, which is the largest.
        augment: False allows one view only.
        advice: of the backbone; None is that of images.

    Raises:
        UsageError: no time is left at all.
    """
    if seconds <= 0:
        raise UsageError(
            "budget: expected time for training after reading the samples. "
            "Received: none left. Give a longer --budget."
        )
    advice = FineTuning() if advice is None else advice
    plans = _list_plans(tuple(sizes), augment, tuple(stages), advice)

    def count_seconds(phases: Sequence[Phase], views: int) -> float:
        return _SAFETY * estimate_seconds(
            speeds, shares, phases, views=views, work=work, size=sizes[0]
        )

    def settle(rung: Rung, phases: tuple[Phase, ...], needed: float) -> BudgetedSchedule:
        last = needed - count_seconds(phases[:-1], rung.views) if rung.has_last else 0.0
        if rung.epochs:
            number = 1  # of the fine-tuning, after which there may be a phase at full size
            longest = replace(
                phases[number], longest=max(advice.losses.longest_epochs, rung.epochs)
            )
            phases = (*phases[:number], longest, *phases[number + 1 :])
        return BudgetedSchedule(
            phases, rung.views, last, needed, needed <= seconds, rung.loss, better
        )

    better: float | None = None  # what the cheapest of those takes that do not fit
    cheapest: tuple[float, Rung, tuple[Phase, ...]] | None = None
    for rung, phases in plans:
        needed = count_seconds(phases, rung.views)
        if needed <= seconds:
            return settle(rung, phases, needed)
        better = needed if better is None else min(better, needed)
        if cheapest is None or needed < cheapest[0]:
            cheapest = needed, rung, phases
    assert cheapest is not None
    needed, rung, phases = cheapest
    return settle(rung, phases, needed)


@functools.lru_cache(maxsize=8)
def _list_plans(
    sizes: tuple[int, ...], augment: bool, stages: tuple[str, ...], advice: FineTuning
) -> tuple[tuple[Rung, tuple[Phase, ...]], ...]:
    rungs = list_rungs(advice, sizes=[size / sizes[0] for size in sizes], augment=augment)
    plans = ((rung, make_phases(rung, stages, size=sizes[0], advice=advice)) for rung in rungs)
    # Few stages: at some fractions nothing of the backbone would train.
    return tuple(
        (rung, phases)
        for rung, phases in plans
        if all(phase.stage != BACKBONE_END for phase in phases[1:])
    )
