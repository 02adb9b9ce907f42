"""What each cheaper training costs in accuracy, as measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfxfer.fine_tuning import FineTuning, Table
from tfxfer.schedule import Phase, resolve_schedule
from tfxfer.standard_schedules import follow_advice

__all__ = ["Rung", "list_rungs", "make_phases"]

_SHORT_HEAD_LOSS = 1.0

_FULL_SIZE_FRONTIER = 0.8
_FULL_SIZE_RATE = 0.75  # of the rate before
_SHORT_HEAD = 0.1  # of the epochs


@dataclass(frozen=True)
class Rung:
    """One training, and what it is expected to lose against the largest.

    Args:
        size: side of the input, in that of the full size.
        views: versions of each sample that epochs draw among.
        frontier: fraction of the stages that stay frozen in the second phase; None has no second.
        head_epochs: of the first phase.
        epochs: of the second phase.
        has_last: whether an epoch at full size follows smaller samples.
        loss: points of accuracy.
    """

    size: float
    views: int
    frontier: float | None
    head_epochs: int
    epochs: int
    has_last: bool
    loss: float


def list_rungs(
    advice: FineTuning, *, sizes: Sequence[float] = (1.0,), augment: bool = True
) -> tuple[Rung, ...]:
    """Returns all trainings that a budget may choose, the best first.

    Args:
        advice: of the backbone.
        sizes: sides that the input may have, in that of the full size.
        augment: False has one view only.
    """
    rungs, losses = [], advice.losses
    for size in sizes:
        small = _interpolate(losses.by_size, size)
        for (frontier, depth), (views, same), (epochs, few) in itertools.product(
            losses.by_frontier, losses.by_views, losses.by_epochs
        ):
            if views > epochs or (views > 1 and not augment):
                continue
            for has_last in (False, True) if size < 1 else (False,):
                more = 0.0 if has_last else _interpolate(losses.no_last_by_size, size)
                loss = _saturate(small + depth + same + few + more, losses.head_only)
                rungs.append(
                    Rung(
                        size, int(views), frontier, advice.head_epochs, int(epochs), has_last, loss
                    )
                )
    # A head costs little beside the features it is trained on, which are those of the full size.
    short = max(1, round(_SHORT_HEAD * advice.head_epochs))
    for head_epochs, more in ((advice.head_epochs, 0.0), (short, _SHORT_HEAD_LOSS)):
        rungs.append(Rung(1.0, 1, None, head_epochs, 0, False, losses.head_only + more))
    return tuple(sorted(rungs, key=lambda rung: rung.loss))


def make_phases(
    rung: Rung, stages: Sequence[str], *, size: int, advice: FineTuning
) -> tuple[Phase, ...]:
    """Returns the phases of a rung, resolved.

    After smaller samples a last phase lets the network get used to the full size, at which it is
    used in any case.

    Args:
        rung: from `list_rungs`.
        stages: names of the backbone's stages, the last being `backbone`.
        size: the full one.
        advice: of the backbone.

    Source:
        Touvron et al. 2019, Fixing the train-test resolution discrepancy.
    """
    advice = replace(advice, head_epochs=rung.head_epochs)
    if rung.frontier is None:
        phases = follow_advice(advice, "head")
    else:
        phases = follow_advice(replace(advice, epochs=rung.epochs, unfreeze_from=rung.frontier))
    if rung.size < 1:
        smaller = round(rung.size * size)
        phases = tuple(replace(phase, size=smaller) for phase in phases)
    if rung.has_last:
        last = replace(
            phases[-1],
            name="full_size",
            stage=_FULL_SIZE_FRONTIER,
            epochs=1,
            learning_rate=float(f"{_FULL_SIZE_RATE * advice.rate:.3g}"),
            views=1,
            size=None,
        )
        phases = (*phases, last)
    return resolve_schedule(phases, stages)


def _saturate(loss: float, head_only: float) -> float:
    # However little is fine-tuned, on average the head alone is not better.
    return head_only * (1 - math.exp(-loss / head_only))


def _interpolate(table: Table, at: float) -> float:
    settings, losses = zip(*sorted(table), strict=True)
    return float(np.interp(at, settings, losses))
