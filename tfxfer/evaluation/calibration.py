"""Confidence against being right: bins, the expected calibration error, and its noise."""

from __future__ import annotations

import numpy as np

__all__ = [
    "CALIBRATED_DRAWS",
    "CALIBRATION_BINS",
    "draw_calibrated",
    "find_bins",
    "measure_error",
    "sum_gaps",
]

CALIBRATION_BINS = 15
"""Equal-width bins of confidence. Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599."""

CALIBRATED_DRAWS = 200
"""Draws of answers by a calibrated model: 5 % of error in a standard deviation.

Source: Efron and Tibshirani 1993, section 6.4: 50 to 200 are enough for a standard error.
"""


def find_bins(confidence: np.ndarray, *, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Returns the number of the equal-width bin that each confidence is in, its upper end included.

    Shapes: int64, as `confidence`.

    Example:
        >>> find_bins(np.array([0.0, 0.5, 0.51, 1.0]), bins=2)
        array([0, 0, 1, 1])
    """
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def sum_gaps(confidence: np.ndarray, right: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Returns what each sample adds to its bins: right minus confidence, over its answers.

    Args:
        confidence: 0..1, of each answer.
        right: 1 where the answer is right, else 0.
        numbers: of the bin that each answer is in.

    Shapes: (samples,) or (samples, answers) each; returns float64 (samples, bins), as many as the
        highest number asks for.
    """
    gaps = (right - confidence).reshape(len(confidence), -1)
    numbers = numbers.reshape(gaps.shape)
    summed = np.zeros((len(gaps), int(numbers.max()) + 1))
    rows = np.broadcast_to(np.arange(len(gaps))[:, None], gaps.shape)
    np.add.at(summed, (rows, numbers), gaps / gaps.shape[1])
    return summed


def measure_error(gaps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the expected calibration error of each resample.

    Args:
        gaps: from `sum_gaps`.
        weights: how often each sample was drawn.

    Shapes: gaps (samples, bins); weights (resamples, samples); returns (resamples,).

    Source:
        Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602; Guo et al. 2017, eq. 3.
    """
    return np.abs(weights @ gaps).sum(axis=1) / len(gaps)


def draw_calibrated(confidence: np.ndarray, numbers: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns the errors of answers that are right exactly as often as their confidence says.

    Such answers are off by nothing, and on few samples still show an error: so much is noise.

    Args:
        confidence: 0..1, of each answer.
        numbers: of the bin that each answer is in.
        seed: of the draws.

    Shapes: confidence and numbers (samples,) or (samples, answers); returns (draws,).

    Source:
        Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1.
    """
    rng = np.random.default_rng(seed)
    flat, where = confidence.ravel(), numbers.ravel()
    errors = np.empty(CALIBRATED_DRAWS)
    for k in range(CALIBRATED_DRAWS):
        right = rng.random(len(flat)) < flat
        errors[k] = np.abs(np.bincount(where, weights=right - flat)).sum() / len(flat)
    return errors
