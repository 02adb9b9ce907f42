"""Scores predictions against the truth, and two models against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.evaluation.figures import ClassFigures, Figures, MultilabelFigures, ValueFigures
from tfxfer.evaluation.intervals import (
    calibration_interval,
    describe,
    effective_wilson,
    matched_interval,
    percentile,
    resample,
    wilson,
)

__all__ = ["RESAMPLES", "paired_difference", "score_predictions"]

RESAMPLES = 1000
"""Resamples of the bootstrap. Source: Efron and Tibshirani 1993, section 13.3: 1,000 for 95 %."""

RANK_WORK = 20_000_000
"""Image scores sorted into resamples for ROC-AUC and average precision: half a second (m)."""

RANK_RESAMPLES = 200
"""Fewest resamples of those two, and all for calibration: 5 % of error in a standard deviation.

Source: Efron and Tibshirani 1993, section 6.4: 50 to 200 are enough for a standard error.
"""

FEW_IMAGES = 10
"""Below this many images a bootstrap interval is clearly too narrow, and a note says so."""

_SHARES = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "exact_match",
    "macro_f1",
    "micro_f1",
    "roc_auc",
)
"""Between 0 and 1, and 1 is perfect."""

_ERRORS = ("mae", "rmse", "log_loss", "calibration_error")
"""Smaller is better."""


def score_predictions(
    targets: np.ndarray,
    scores: np.ndarray,
    *,
    task: str,
    labels: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Returns every metric of a task as JSON data, with 95 % intervals.

    Shares of images (accuracy, top-5 accuracy, exact match) have Wilson's interval; F1, balanced
    accuracy, ROC-AUC and average precision have Wilson's for the sample size that their bootstrap
    variance is worth; log loss, errors of numbers and R² have bootstrap percentiles; calibration
    error has one of its own. The bootstrap draws images, in classification within each class. It
    uses fewer resamples, at least 200, for ROC-AUC and average precision of many classes.

    Args:
        targets: as a head encodes them.
        scores: as a model puts them out.
        task: `classification`, `multilabel` or `regression`.
        labels: one name per output.
        seed: of the bootstrap; the same seed gives the same document.
        resamples: of the bootstrap.
        threshold: a label counts as predicted above it; `multilabel` only.

    Shapes: targets and scores (images, outputs).

    Returns:
        `task`, `images`, `labels`, `notes` (why a metric is missing) and the task's figures, each
        `{"value", "low", "high"}`. Classification: `accuracy, macro_f1, balanced_accuracy,
        calibration_error, log_loss, roc_auc, average_precision`, `top_5_accuracy` for more than
        5 classes, `per_class`, `confusion` (rows are the truth). Multilabel: `accuracy,
        exact_match, micro_f1, macro_f1, roc_auc, average_precision`, `per_class`. Regression:
        `mae, rmse, r2`, and `per_output` where there are several. In `per_class`, null stands for
        what does not exist, such as the precision of a class that was never predicted.

    Raises:
        DataError: shapes that do not match, no images, or targets that are not the task's.
        ModelError: scores that are not finite.

    Source:
        Calibration error: Guo et al. 2017, https://arxiv.org/abs/1706.04599. Intervals: see
        `tfxfer.evaluation.intervals`.
    """
    labels = tuple(labels)
    targets, scores = _check(targets, scores, task=task, labels=labels)
    if resamples < 1:
        raise UsageError(f"evaluation: expected 1 resample or more. Received: {resamples=}.")
    table = _make_figures(targets, scores, task=task, labels=labels, threshold=threshold)
    measured = _bootstrap(table, seed=seed, resamples=resamples)
    if isinstance(table, ClassFigures):
        measured["accuracy"] = wilson(int(table.right.sum()), table.images)
        if table.top is not None:
            measured["top_5_accuracy"] = wilson(int(table.top.sum()), table.images)
    elif isinstance(table, MultilabelFigures):
        exact = int(table.right.all(axis=1).sum())
        measured["exact_match"] = wilson(exact, table.images)
    document: dict[str, Any] = {"task": task, **measured, **table.details()}
    if task == "regression" and len(labels) > 1:
        document["per_output"] = [
            {
                "label": label,
                **_bootstrap(
                    ValueFigures(targets[:, [k]], scores[:, [k]], [label]),
                    seed=seed,
                    resamples=resamples,
                ),
            }
            for k, label in enumerate(labels)
        ]
    if table.images < FEW_IMAGES:
        table.notes.append(f"{table.images} images: the intervals are too narrow")
    return {**document, "images": table.images, "labels": list(labels), "notes": table.notes}


def paired_difference(
    targets: np.ndarray,
    scores_a: np.ndarray,
    scores_b: np.ndarray,
    *,
    task: str,
    metric: str = "accuracy",
    seed: int = 0,
    resamples: int = RESAMPLES,
    threshold: float = 0.5,
    views: int = 1,
) -> dict[str, float]:
    """Returns how much worse `b` is than `a` on the same images, with a 95 % interval.

    Shares of images have Agresti and Min's interval for matched pairs, all else the percentiles of
    a bootstrap that draws the same images for both. Views of an image are alike: they are no
    further images to the one, and drawn together by the other.

    Args:
        targets: as a head encodes them.
        scores_a: of the reference, such as the float model.
        scores_b: of the model that is to be as good, such as the quantized one.
        task: `classification`, `multilabel` or `regression`.
        metric: a figure of `score_predictions`.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        threshold: a label counts as predicted above it; `multilabel` only.
        views: rows in succession that show the same image.

    Shapes: targets and scores (images · views, outputs).

    Units: percentage points, and for `mae`, `rmse` and `log_loss` the metric's own unit. Above 0
        `b` is worse, also for metrics of which less is better.

    Raises:
        DataError: shapes that do not match, or targets for which the metric is undefined.
        ModelError: scores that are not finite.
        UsageError: the task has no such metric.
    """
    names = [str(k) for k in range(np.shape(targets)[-1] if np.ndim(targets) else 0)]
    tables = []
    for scores in (scores_a, scores_b):
        true, checked = _check(targets, scores, task=task, labels=names)
        tables.append(_make_figures(true, checked, task=task, labels=names, threshold=threshold))
    first, second = tables
    if views < 1 or first.images % views:
        raise UsageError(
            f"paired_difference: expected {first.images} rows to be images in several views each. "
            f"Received: views={views}."
        )
    direction = -1 if metric in _ERRORS else 1
    unit = 1 if metric in ("mae", "rmse", "log_loss") else 100

    right = [_find_right(table, metric) for table in tables]
    if right[0] is not None and right[1] is not None:
        differences = right[0].astype(np.float64) - right[1]
        figure = matched_interval(differences.reshape(-1, views).mean(axis=1))
    else:
        count = _count_rank_resamples(first, resamples) if metric in first.ranked else resamples
        (value,) = _subtract(first, second, metric, np.ones((1, first.images)))
        samples = np.concatenate(
            [
                _subtract(first, second, metric, np.repeat(weights, views, axis=1))
                for weights in resample(first.strata[::views], seed=seed, resamples=count)
            ]
        )
        figure = percentile(value, samples[np.isfinite(samples)])
        if metric in _SHARES and figure["low"] == figure["high"]:
            # Two models that give the same answers: no resample shows how few they were.
            images = max(1, int(first.effective_images) // views)
            figure = matched_interval(np.zeros(images))
            figure = {end: value + width for end, width in figure.items()}
    ends = sorted(direction * unit * figure[end] for end in ("low", "high"))
    # + 0.0: a difference of -0.0 reads as a loss.
    return describe(direction * unit * figure["value"] + 0.0, *(end + 0.0 for end in ends))


def _find_right(table: Figures, metric: str) -> np.ndarray | None:
    """Which images are right, for the metrics that are a share of images."""
    if isinstance(table, ClassFigures) and metric == "accuracy":
        return table.right > 0
    if isinstance(table, ClassFigures) and metric == "top_5_accuracy":
        return table.top
    if isinstance(table, MultilabelFigures) and metric == "exact_match":
        return np.asarray(table.right.all(axis=1))
    return None


def _subtract(first: Figures, second: Figures, metric: str, weights: np.ndarray) -> np.ndarray:
    found = []
    for table in (first, second):
        figures = table.ranks(weights) if metric in table.ranked else table.sums(weights)
        if metric not in figures:
            reason = "; ".join(table.notes) or f"there are {sorted(figures)}"
            raise UsageError(
                f"paired_difference: expected a metric of these predictions. "
                f"Received: metric={metric!r}. {reason}."
            )
        found.append(figures[metric])
    return np.asarray(found[0] - found[1], np.float64)


def _count_rank_resamples(table: Figures, resamples: int) -> int:
    affordable = RANK_WORK // max(1, table.images * table.rank_columns)
    return min(resamples, max(RANK_RESAMPLES, affordable))


def _bootstrap(table: Figures, *, seed: int, resamples: int) -> dict[str, Any]:
    once = np.ones((1, table.images))
    values = {**table.sums(once), **table.ranks(once)}
    samples: dict[str, list[np.ndarray]] = {name: [] for name in values}
    left = _count_rank_resamples(table, resamples)
    for weights in resample(table.strata, seed=seed, resamples=resamples):
        drawn = table.sums(weights)
        if left > 0:
            drawn |= table.ranks(weights[:left])
            left -= len(weights)
        for name, column in drawn.items():
            samples[name].append(column)

    figures = {}
    for name, (value,) in values.items():
        if np.isnan(value):
            continue  # the table's notes say why
        column = np.concatenate(samples[name])
        # A resample may lack a rare label, or have one value only: it says nothing of the metric.
        column = column[np.isfinite(column)]
        column = column if column.size else np.array([value])
        if isinstance(table, ClassFigures) and name == "calibration_error":
            calibrated = table.draw_calibrated(seed=seed, draws=RANK_RESAMPLES)
            figures[name] = calibration_interval(value, column, calibrated)
        elif name in _SHARES:
            images = table.effective_images or table.images
            figures[name] = effective_wilson(value, column, images=images)
        else:
            figures[name] = percentile(value, column)
    return figures


def _make_figures(
    targets: np.ndarray,
    scores: np.ndarray,
    *,
    task: str,
    labels: Sequence[str],
    threshold: float,
) -> Figures:
    if task == "classification":
        return ClassFigures(targets, scores, labels)
    if task == "multilabel":
        return MultilabelFigures(targets, scores, labels, threshold)
    return ValueFigures(targets, scores, labels)


def _check(
    targets: np.ndarray, scores: np.ndarray, *, task: str, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float64, or raises."""
    if task not in ("classification", "multilabel", "regression"):
        raise UsageError(
            "evaluation: expected task 'classification', 'multilabel' or 'regression'. "
            f"Received: task={task!r}."
        )
    true, found = np.asarray(targets, np.float64), np.asarray(scores, np.float64)
    if true.ndim != 2 or true.shape != found.shape or true.shape[1] != len(labels) or not true.size:
        raise DataError(
            f"evaluation: expected targets and scores of shape (images, {len(labels)}), one image "
            f"or more. Received: targets={true.shape}, scores={found.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if bad.size:
        raise ModelError(
            f"evaluation: expected finite scores. Received: {bad.size} of {len(found)} images with "
            f"NaN or infinity, the first is image {bad[0]}. The training diverged, or the "
            f"conversion broke the model."
        )
    whole = np.isin(true, (0, 1)).all()
    if task == "classification" and not (whole and (true.sum(axis=1) == 1).all()):
        raise DataError("evaluation: expected one-hot targets. Received: rows that are not.")
    if task == "multilabel" and not whole:
        raise DataError("evaluation: expected targets of 0 and 1. Received: other values.")
    if not np.isfinite(true).all():
        raise DataError("evaluation: expected finite targets. Received: NaN or infinity.")
    return true, found
