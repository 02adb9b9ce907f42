"""Two models against each other, on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.bootstrap import RESAMPLES, count_resamples
from tfxfer.evaluation.intervals import describe, matched_interval, percentile, resample

if TYPE_CHECKING:
    from tfxfer.evaluation.figures import Figures
    from tfxfer.head import Head

__all__ = ["paired_difference"]


def paired_difference(
    targets: np.ndarray,
    scores_a: np.ndarray,
    scores_b: np.ndarray,
    *,
    head: Head,
    labels: Sequence[str] | None = None,
    metric: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    views: int = 1,
) -> dict[str, float]:
    """Returns how much worse `b` is than `a` on the same samples, with a 95 % interval.

    Shares of samples have Agresti and Min's interval for matched pairs, all else the percentiles of
    a bootstrap that draws the same samples for both. Views of a sample are alike: they are no
    further samples to the one, and drawn together by the other.

    Args:
        targets: as the head encodes them.
        scores_a: of the reference, such as the float model.
        scores_b: of the model that is to be as good, such as the quantized one.
        head: the task; its `figures` say what is measured.
        labels: one name per output; None counts them.
        metric: a figure of `score_predictions`; None is the headline.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        views: rows in succession that show the same sample.

    Shapes: targets and scores (samples · views, outputs).

    Units: percentage points, or the metric's own unit where its catalogue says so. Above 0 `b` is
        worse, also for metrics of which less is better.

    Raises:
        DataError: shapes that do not match, or targets for which the metric is undefined.
        ModelError: scores that are not finite.
        UsageError: the head has no such metric.
        ContractError: figures that fail.
    """
    if labels is None:
        labels = [str(k) for k in range(np.shape(targets)[-1] if np.ndim(targets) else 0)]
    with blame_head(head):
        first = head.make_figures(targets, scores_a, labels)
        second = head.make_figures(targets, scores_b, labels)
        if views < 1 or first.samples % views:
            raise UsageError(
                f"paired_difference: expected {first.samples} rows to be samples in several views "
                f"each. Received: views={views}."
            )
        metric = metric or _find_headline(first, second)
        figure = _compare(first, second, metric, seed=seed, resamples=resamples, views=views)
        about = first.catalogue[metric]
    factor = (-1 if about.lower_is_better else 1) * (1 if about.unit == "own" else 100)
    ends = sorted(factor * figure[end] for end in ("low", "high"))
    # + 0.0: a difference of -0.0 reads as a loss.
    return describe(factor * figure["value"] + 0.0, *(end + 0.0 for end in ends))


def _find_headline(first: Figures, second: Figures) -> str:
    """Returns the first headline that is defined for both models; the last if none is."""
    once = np.ones((1, first.samples))
    defined = []
    for figures in (first, second):
        values = {**figures.sums(once), **figures.ranks(once)}
        measured = {name for name, (value,) in values.items() if np.isfinite(value)}
        defined.append(measured | set(figures.rights()))
    both = [name for name in first.headlines if name in defined[0] & defined[1]]
    return both[0] if both else first.headlines[-1]


def _compare(
    first: Figures, second: Figures, metric: str, *, seed: int, resamples: int, views: int
) -> dict[str, float]:
    rights = [figures.rights() for figures in (first, second)]
    if all(metric in right for right in rights):
        differences = rights[0][metric].astype(np.float64) - rights[1][metric]
        return matched_interval(differences.reshape(-1, views).mean(axis=1))
    count = count_resamples(first, resamples) if metric in first.ranked else resamples
    (value,) = _subtract(first, second, metric, np.ones((1, first.samples)))
    samples = np.concatenate(
        [
            _subtract(first, second, metric, np.repeat(weights, views, axis=1))
            for weights in resample(first.strata[::views], seed=seed, resamples=count)
        ]
    )
    if not np.isfinite(value):
        raise DataError(
            f"paired_difference: expected samples for which {metric} is defined. "
            f"Received: {first.samples} samples; {'; '.join([*first.notes, *second.notes])}."
        )
    samples = samples[np.isfinite(samples)]
    figure = percentile(value, samples if samples.size else np.array([value]))
    if first.catalogue[metric].is_share and figure["low"] == figure["high"]:
        # Two models that give the same answers: no resample shows how few they were.
        size = max(1, int(first.effective_samples) // views)
        nothing = matched_interval(np.zeros(size))
        figure = {end: value + width for end, width in nothing.items()}
    return figure


def _subtract(first: Figures, second: Figures, metric: str, weights: np.ndarray) -> np.ndarray:
    found = []
    for figures in (first, second):
        values = figures.ranks(weights) if metric in figures.ranked else figures.sums(weights)
        if metric not in values or metric not in figures.catalogue:
            known = sorted({*values, *figures.rights()})
            reason = "; ".join(figures.notes) or f"there are {known}"
            raise UsageError(
                f"paired_difference: expected a metric of these predictions. "
                f"Received: metric={metric!r}. {reason}."
            )
        found.append(values[metric])
    return np.asarray(found[0] - found[1], np.float64)
