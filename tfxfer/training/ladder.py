"""What each cheaper training costs in accuracy, as measured."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.schedule import Phase, resolve_schedule
from tfxfer.standard_schedules import two_phase

__all__ = ["FRONTIERS", "HEAD_ONLY_LOSS", "LONGEST_EPOCHS", "Rung", "list_rungs", "make_phases"]

# Points of accuracy below the largest training, measured one at a time around a smaller one; they
# are added up. `benchmarks/budget_ladder.py` measures them, docs/benchmarks/defaults.md has the
# table. Where that leaves no order, or has no row, more is taken for slightly better.
_BY_SIZE = {1.0: 0.0, 0.86: 0.2, 0.71: 0.6, 0.57: 1.9}
"""By the side of an image, in that of the full size."""
_NO_LAST_BY_SIZE = {1.0: 0.0, 0.86: 0.4, 0.71: 2.8, 0.57: 25.0}
"""What is lost on top where no epoch at full size follows."""
_BY_FRONTIER = {0.5: 0.0, 0.6: 0.05, 0.7: 0.1, 0.8: 0.2, 0.9: 0.4}
FRONTIERS = tuple(_BY_FRONTIER)
_BY_VIEWS = {8: 0.0, 4: 0.3, 3: 0.4, 2: 0.6, 1: 2.0}
_BY_EPOCHS = {20: 0.0, 16: 0.1, 12: 0.2, 8: 0.5, 6: 0.8, 4: 0.9, 3: 1.0, 2: 2.0}
HEAD_ONLY_LOSS = 6.0
_SHORT_HEAD_LOSS = 1.0

_FULL_SIZE_FRONTIER = 0.8
_FULL_SIZE_RATE = 3e-4
_HEAD_EPOCHS = 30
_SHORT_HEAD_EPOCHS = 3
LONGEST_EPOCHS = 30
"""Of a second phase: after 20 epochs more of them gave nothing that could be measured."""


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


def list_rungs(*, sizes: Sequence[float] = (1.0,), augment: bool = True) -> tuple[Rung, ...]:
    """Returns all trainings that a budget may choose, the best first.

    Args:
        sizes: sides that the input may have, in that of the full size.
        augment: False has one view only.
    """
    rungs = []
    for size in sizes:
        small = _interpolate(_BY_SIZE, size)
        for frontier, views, epochs in itertools.product(_BY_FRONTIER, _BY_VIEWS, _BY_EPOCHS):
            if views > epochs or (views > 1 and not augment):
                continue
            loss = small + _BY_FRONTIER[frontier] + _BY_VIEWS[views] + _BY_EPOCHS[epochs]
            for has_last in (False, True) if size < 1 else (False,):
                more = 0.0 if has_last else _interpolate(_NO_LAST_BY_SIZE, size)
                rung = Rung(
                    size, views, frontier, _HEAD_EPOCHS, epochs, has_last, _saturate(loss + more)
                )
                rungs.append(rung)
    # A head costs little beside the features it is trained on, which are those of the full size.
    for head_epochs, more in ((_HEAD_EPOCHS, 0.0), (_SHORT_HEAD_EPOCHS, _SHORT_HEAD_LOSS)):
        rungs.append(Rung(1.0, 1, None, head_epochs, 0, False, HEAD_ONLY_LOSS + more))
    return tuple(sorted(rungs, key=lambda rung: rung.loss))


def make_phases(rung: Rung, stages: Sequence[str], *, size: int) -> tuple[Phase, ...]:
    """Returns the phases of a rung, resolved.

    After smaller samples a last phase lets the network get used to the full size, at which it is
    used in any case.

    Args:
        rung: from `list_rungs`.
        stages: names of the backbone's stages, the last being `backbone`.
        size: the full one.

    Source:
        Touvron et al. 2019, Fixing the train-test resolution discrepancy.
    """
    phases = two_phase(
        head_epochs=rung.head_epochs,
        epochs=rung.epochs,
        unfreeze_from=BACKBONE_END if rung.frontier is None else rung.frontier,
    )
    if rung.size < 1:
        smaller = round(rung.size * size)
        phases = tuple(replace(phase, size=smaller) for phase in phases)
    if rung.has_last:
        last = Phase("full_size", _FULL_SIZE_FRONTIER, 1, _FULL_SIZE_RATE, views=1, average=True)
        phases = (*phases, last)
    return resolve_schedule(phases, stages)


def _saturate(loss: float) -> float:
    # However little is fine-tuned, on average the head alone is not better.
    return HEAD_ONLY_LOSS * (1 - math.exp(-loss / HEAD_ONLY_LOSS))


def _interpolate(table: dict[float, float], at: float) -> float:
    known = sorted(table)
    return float(np.interp(at, known, [table[x] for x in known]))
