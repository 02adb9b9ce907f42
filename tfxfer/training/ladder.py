"""What each cheaper training costs in accuracy, as measured."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

__all__ = ["FRONTIERS", "HEAD_ONLY_LOSS", "LONGEST_EPOCHS", "Rung", "list_rungs"]

# Points of accuracy below the largest training, measured one at a time around it; they are added
# up. `benchmarks/budget_ladder.py` measures them, docs/benchmarks/defaults.md has the table.
_BY_SIZE = {1.0: 0.0, 0.86: 0.3, 0.71: 1.0, 0.57: 2.5}
"""By the side of an image, in that of the full size."""
_BY_FRONTIER = {0.5: 0.0, 0.6: 0.1, 0.7: 0.3, 0.8: 1.0, 0.9: 2.5}
FRONTIERS = tuple(_BY_FRONTIER)
_BY_VIEWS = {8: 0.0, 4: 0.4, 3: 0.7, 2: 1.2, 1: 2.5}
_BY_EPOCHS = {20: 0.0, 16: 0.1, 12: 0.2, 8: 0.5, 6: 0.9, 4: 1.5, 3: 2.0, 2: 2.8}
HEAD_ONLY_LOSS = 6.0
_PLAIN_HEAD_LOSS = 0.2
_SHORT_HEAD_LOSS = 1.0

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
        loss: points of accuracy.
    """

    size: float
    views: int
    frontier: float | None
    head_epochs: int
    epochs: int
    loss: float


def list_rungs(*, sizes: tuple[float, ...] = (1.0,), augment: bool = True) -> tuple[Rung, ...]:
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
            rungs.append(Rung(size, views, frontier, _HEAD_EPOCHS, epochs, loss))
        for head_epochs, more in ((_HEAD_EPOCHS, 0.0), (_SHORT_HEAD_EPOCHS, _SHORT_HEAD_LOSS)):
            loss = small + HEAD_ONLY_LOSS + _PLAIN_HEAD_LOSS + more
            rungs.append(Rung(size, 1, None, head_epochs, 0, loss))
    return tuple(sorted(rungs, key=lambda rung: rung.loss))


def _interpolate(table: dict[float, float], at: float) -> float:
    import numpy as np

    known = sorted(table)
    return float(np.interp(at, known, [table[x] for x in known]))
