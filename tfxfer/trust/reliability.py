"""Reliability: how often answers of each confidence are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.bootstrap import RESAMPLES
from tfxfer.evaluation.calibration import (
    CALIBRATION_BINS,
    draw_calibrated,
    find_bins,
    measure_error,
    sum_gaps,
)
from tfxfer.evaluation.intervals import calibration_interval, resample, wilson
from tfxfer.inference.stored_answers import read_answer_table
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.system.arguments import check_word
from tfxfer.trust.estimate import Estimate

__all__ = [
    "Reliability",
    "ReliabilityBin",
    "measure_calibration_error",
    "measure_reliability",
    "read_confidence",
    "read_reliability",
]

Spacing = Literal["width", "mass"]

_LEAST = 10  # answers in a bin of equal mass: of fewer, the interval spans half of the diagram


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence lies in one range.

    Args:
        low: end of the range; above it.
        high: end of the range; up to it.
        samples: how many answers.
        confidence: their mean confidence.
        right: which share of them is right, with Wilson's interval.
    """

    low: float
    high: float
    samples: int
    confidence: float
    right: Estimate


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram as data.

    Args:
        bins: those with answers, by rising confidence.
        error: expected calibration error over these bins.
        noise: what a calibrated model would show of it on as many answers, in the mean.
        note: what the error means beside that noise.
    """

    bins: tuple[ReliabilityBin, ...]
    error: Estimate
    noise: float
    note: str


def measure_reliability(
    confidence: np.ndarray,
    right: np.ndarray,
    *,
    equal: Spacing = "width",
    seed: int = 0,
) -> Reliability:
    """Returns the reliability diagram of answers, and how far off their confidence is.

    Args:
        confidence: 0..1, of each answer.
        right: whether it is right.
        equal: 15 bins of equal width, whose error is the evaluation's `calibration_error`; or of
            equal mass, each as many answers, which no empty or lonely bin distorts: fewer than 15
            where they would hold less than 10 answers. Answers of one confidence stay together.
        seed: of the interval.

    Shapes: (answers,) each.

    Raises:
        DataError: no answers, other shapes, or confidence that is not 0..1.
        UsageError: bins that are equal in nothing known.

    Source:
        Guo et al. 2017, section 2, https://arxiv.org/abs/1706.04599. Equal mass: Nixon et al. 2019,
        https://arxiv.org/abs/1904.01685. The error of few answers is too high, by about `noise`
        where the model is calibrated: Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1.
    """
    check_word(equal, get_args(Spacing), where="reliability", name="equal")
    confidence, right = _check(confidence, right)
    edges, numbers = _place(confidence, equal)
    found = _describe_bins(confidence, right, edges, numbers)
    error = measure_calibration_error(confidence, right, numbers=numbers, seed=seed)
    noise = float(draw_calibrated(confidence, numbers, seed=seed).mean())
    answers = f"{len(confidence):,} answers"
    note = (
        f"off by {100 * error.value:.1f} points; a calibrated model would show "
        f"{100 * noise:.1f} on {answers}"
    )
    if error.low == 0:
        note += ", so this may be noise"
    return Reliability(found, error, noise, note)


def measure_calibration_error(
    confidence: np.ndarray,
    right: np.ndarray,
    *,
    numbers: np.ndarray | None = None,
    seed: int = 0,
) -> Estimate:
    """Returns the expected calibration error with its interval.

    Args:
        confidence: 0..1, of each answer.
        right: whether it is right.
        numbers: of the bin of each answer; None is 15 of equal width.
        seed: of the resamples.

    Shapes: (samples,) each, or (samples, answers) where a sample has several answers, which are
        resampled together.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    where = find_bins(confidence) if numbers is None else numbers
    gaps = sum_gaps(confidence, right, where)
    value = float(measure_error(gaps, np.ones((1, len(gaps))))[0])
    draws = resample(np.zeros(len(gaps), int), seed=seed, resamples=RESAMPLES)
    resampled = np.concatenate([measure_error(gaps, weights) for weights in draws])
    calibrated = draw_calibrated(confidence, where, seed=seed)
    return Estimate.of(calibration_interval(value, resampled, calibrated))


def read_confidence(path: Path, *, split: str = "test") -> tuple[np.ndarray, np.ndarray] | None:
    """Returns how sure a run was of each answer, and whether it was right.

    Args:
        path: of a `predictions.csv`.
        split: whose answers, `val` or `test`.

    Shapes: float64 and bool (samples,).

    Returns:
        None where the split has no answers, or answers that are never simply right.

    Raises:
        DataError: it cannot be read.
    """
    rows = [row for row in read_answer_table(path) if row["split"] == split]
    if not rows or any(row["right"] not in ("true", "false") for row in rows):
        return None
    try:
        scores = np.array([float(row["score"]) for row in rows])
    except ValueError as error:
        raise DataError(
            f"table {str(path)!r}: expected a number as score. Received: {error}."
        ) from error
    return scores, np.array([row["right"] == "true" for row in rows])


def read_reliability(
    run: RunDirectory, *, split: str = "test", equal: Spacing = "width"
) -> Reliability | None:
    """Returns the reliability diagram of a run's own answers; see `measure_reliability`.

    Returns:
        None where the run has none, or answers that are never simply right.
    """
    if not run.predictions_path.is_file():
        return None
    found = read_confidence(check_sealed(run, run.predictions_path), split=split)
    return None if found is None else measure_reliability(*found, equal=equal)


def _check(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sure, truth = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if sure.ndim != 1 or sure.shape != truth.shape or not len(sure):
        raise DataError(
            "reliability: expected one confidence and one right or wrong for each answer. "
            f"Received: confidence={sure.shape}, right={truth.shape}."
        )
    # Not `<` and `>`: a NaN would pass.
    if not ((sure >= 0) & (sure <= 1)).all():
        raise DataError(
            "reliability: expected confidence 0..1. "
            f"Received: {sure.min():.3g} to {sure.max():.3g}. Logits are no confidence."
        )
    return sure, truth


def _place(confidence: np.ndarray, equal: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bins' edges, and the number of the bin of each answer."""
    if equal == "width":
        return np.linspace(0, 1, CALIBRATION_BINS + 1), find_bins(confidence)
    count = min(CALIBRATION_BINS, max(1, len(confidence) // _LEAST))
    parts = np.array_split(np.sort(confidence), count)
    edges = np.unique([part[-1] for part in parts if len(part)])
    return np.concatenate([[0.0], edges]), np.searchsorted(edges, confidence)


def _describe_bins(
    confidence: np.ndarray, right: np.ndarray, edges: np.ndarray, numbers: np.ndarray
) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(
            float(edges[number]),
            float(edges[number + 1]),
            int(chosen.sum()),
            float(confidence[chosen].mean()),
            Estimate.of(wilson(float(right[chosen].sum()), float(chosen.sum()))),
        )
        for number in np.unique(numbers).tolist()
        for chosen in [numbers == number]
    )
