"""Scores predictions against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import ContractError, UsageError
from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.bootstrap import RESAMPLES, measure

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["RESAMPLES", "score_predictions"]

FEW_SAMPLES = 10
"""Below this many samples a bootstrap interval is clearly too narrow, and a note says so."""


def score_predictions(
    targets: np.ndarray,
    scores: np.ndarray,
    *,
    head: Head,
    labels: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Returns every metric of a head as JSON data, with 95 % intervals.

    Metrics that are shares of samples, such as accuracy, have Wilson's interval; others between 0
    and 1, such as F1 and ROC-AUC, have Wilson's for the sample size that their bootstrap variance
    is worth; all else has bootstrap percentiles, or an interval that the head's figures bring. The
    bootstrap draws samples within the figures' strata. It uses fewer resamples, at least 200, for
    rankings of many columns.

    Args:
        targets: as the head encodes them.
        scores: as a model puts them out.
        head: the task; its `figures` say what is measured.
        labels: one name per output.
        seed: of the bootstrap; the same seed gives the same document.
        resamples: of the bootstrap.

    Shapes: targets and scores (samples, outputs).

    Returns:
        `head` (its name), `headline` (name of the metric that stands for all), `images` (number of
        samples), `labels`, `notes` (why a metric is missing), the head's metrics, each `{"value",
        "low", "high"}`, and the details of its figures; `per_output` where single outputs have
        figures of their own. See `ClassFigures`, `MultilabelFigures` and `ValueFigures`. In
        `per_class`, null stands for what does not exist, such as the precision of a class that was
        never predicted; rows of `confusion` are the truth.

    Raises:
        DataError: shapes that do not match, no samples, or targets that are not the task's.
        ModelError: scores that are not finite.
        ContractError: figures that fail, or that have no headline.

    Source:
        Calibration error: Guo et al. 2017, https://arxiv.org/abs/1706.04599. Intervals: see
        `tfxfer.evaluation.intervals`.
    """
    if resamples < 1:
        raise UsageError(f"evaluation: expected 1 resample or more. Received: {resamples=}.")
    labels = tuple(labels)
    with blame_head(head):
        figures = head.make_figures(targets, scores, labels)
        measured = measure(figures, seed=seed, resamples=resamples)
        first = next((name for name in figures.headlines if name in measured), None)
        if first is None:
            raise ContractError(
                f"head {head.name!r}: expected one of its headlines, {list(figures.headlines)}, "
                f"among its metrics. Received: {list(measured)}. Name one that is always defined."
            )
        document: dict[str, Any] = {
            "head": head.name,
            "headline": first,
            **measured,
            **figures.details(),
        }
        parts = [
            {"label": label, **measure(part, seed=seed, resamples=resamples)}
            for label, part in figures.parts().items()
        ]
    if parts:
        document["per_output"] = parts
    notes = list(figures.notes)
    if figures.samples < FEW_SAMPLES:
        notes.append(f"{figures.samples} samples: the intervals are too narrow")
    return {**document, "images": figures.samples, "labels": list(labels), "notes": notes}
