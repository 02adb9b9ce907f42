"""Every metric of a task on the samples as they are, and its interval from resamples of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.errors import ContractError
from tfxfer.evaluation.intervals import effective_wilson, percentile, resample, wilson

if TYPE_CHECKING:
    from tfxfer.evaluation.figures import Figures

__all__ = ["RESAMPLES", "count_resamples", "measure"]

RESAMPLES = 1000
"""Resamples of the bootstrap. Source: Efron and Tibshirani 1993, section 13.3: 1,000 for 95 %."""

RANK_WORK = 20_000_000
"""Scores sorted into resamples for the metrics of a ranking: half a second (m)."""

RANK_RESAMPLES = 200
"""Fewest resamples of those metrics: 5 % of error in a standard deviation.

Source: Efron and Tibshirani 1993, section 6.4: 50 to 200 are enough for a standard error.
"""


def measure(
    figures: Figures, *, seed: int, resamples: int, only: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """Returns every defined metric with its interval, in the catalogue's order.

    Args:
        figures: the metrics.
        seed: of the resamples.
        resamples: how many; metrics of a ranking get fewer where it is long.
        only: the metrics that are wanted; None is all of them.

    Raises:
        ContractError: a metric that the catalogue lacks.
    """
    found = {
        name: wilson(int(right.sum()), figures.samples) for name, right in figures.rights().items()
    }
    once = np.ones((1, figures.samples))
    values = {**figures.sums(once), **figures.ranks(once)}
    unknown = sorted(({*values, *found}) - set(figures.catalogue))
    if unknown:
        raise ContractError(
            f"{type(figures).__name__}: expected metrics of its catalogue, "
            f"{sorted(figures.catalogue)}. Received: {unknown}. Say in `catalogue` how they read."
        )
    if only is not None:
        found = {name: figure for name, figure in found.items() if name in only}
        values = {name: value for name, value in values.items() if name in only}
    samples: dict[str, list[np.ndarray]] = {name: [] for name in values}
    left = count_resamples(figures, resamples) if samples.keys() & set(figures.ranked) else 0
    for weights in resample(figures.strata, seed=seed, resamples=resamples if samples else 0):
        drawn = figures.sums(weights)
        if left > 0:
            drawn |= figures.ranks(weights[:left])
            left -= len(weights)
        for name in samples:
            if name in drawn:
                samples[name].append(drawn[name])

    for name, (value,) in values.items():
        if np.isfinite(value):  # the notes say why it is not
            column = np.concatenate(samples[name])
            found[name] = _find_interval(figures, name, value, column, seed=seed)
    return {name: found[name] for name in figures.catalogue if name in found}


def count_resamples(figures: Figures, resamples: int) -> int:
    """Returns how many resamples the metrics of a ranking get."""
    affordable = RANK_WORK // max(1, figures.samples * figures.rank_columns)
    return min(resamples, max(RANK_RESAMPLES, affordable))


def _find_interval(
    figures: Figures, name: str, value: float, column: np.ndarray, *, seed: int
) -> dict[str, float]:
    # A resample may lack a rare label, or have one value only: it says nothing of the metric.
    column = column[np.isfinite(column)]
    column = column if column.size else np.array([value])
    own = figures.interval(name, value, column, seed=seed)
    if own is not None:
        return own
    if figures.catalogue[name].is_share:
        size = figures.effective_samples or figures.samples
        return effective_wilson(value, column, size=size)
    return percentile(value, column)
