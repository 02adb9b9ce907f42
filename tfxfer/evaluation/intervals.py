"""95 % confidence intervals: closed forms where there are good ones, else the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

__all__ = [
    "Z",
    "calibration_interval",
    "describe",
    "effective_wilson",
    "matched_interval",
    "percentile",
    "resample",
    "subtract",
    "wilson",
]

Z = 1.959963984540054
"""97.5 % point of the normal distribution: every interval here is two-sided 95 %."""

_ROUNDING = 1e-12
"""Variance of resamples that differ by the rounding of float32 alone; of a million answers it is
2e-7 where half are right."""

_CHUNK = 8_000_000
"""Weights held at once, 32 MB: a test split of any size fits into memory."""


def describe(value: float, low: float, high: float) -> dict[str, float]:
    """Returns a measured figure as JSON data."""
    return {"value": float(value), "low": float(low), "high": float(high)}


def wilson(successes: float, trials: float) -> dict[str, float]:
    """Returns a proportion with Wilson's score interval.

    Example:
        >>> wilson(30, 30)
        {'value': 1.0, 'low': 0.8864866068260312, 'high': 1.0}

    Source:
        Wilson 1927, eq. 3; recommended for small samples by Brown, Cai and DasGupta 2001,
        https://doi.org/10.1214/ss/1009213286.
    """
    share, square = successes / trials, Z * Z / trials
    centre = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials)) / (1 + square)
    # Rounding may put an end on the wrong side of the value itself.
    return describe(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def matched_interval(differences: np.ndarray) -> dict[str, float]:
    """Returns the difference of two proportions measured on the same samples.

    Not a bootstrap, because two models that agree on every sample would get an interval of no
    width, however few the samples.

    Args:
        differences: of each sample: 1 where the first model alone got it right, -1 where the second
            alone did, else 0. With several views of a sample, their mean: a sample is one trial,
            however often it is shown.

    Shapes: (samples,).

    Source:
        Agresti and Min 2005, https://doi.org/10.1002/sim.1781: Wald's interval after half a
        sample is added to each of the four cells. That it takes means of views is ours.
    """
    total = len(differences) + 2
    centre = float(differences.sum()) / total
    squares = float(np.square(differences, dtype=np.float64).sum()) + 1
    half = Z * math.sqrt(squares - total * centre**2) / total
    value = float(differences.mean(dtype=np.float64))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return describe(value, min(low, value), max(high, value))


def subtract(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Returns the difference of two figures of different samples, from their own intervals.

    Example:
        >>> found = subtract(wilson(56, 70), wilson(48, 80))
        >>> {end: round(value, 4) for end, value in found.items()}
        {'value': 0.2, 'low': 0.0524, 'high': 0.3339}

    Source:
        Newcombe 1998, method 10, whose example this is, for two proportions,
        https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I;
        Zou and Donner 2008, https://doi.org/10.1002/sim.3095, for any two independent figures.
    """
    value = first["value"] - second["value"]
    below = math.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = math.hypot(first["high"] - first["value"], second["value"] - second["low"])
    return describe(value, value - below, value + above)


def resample(strata: np.ndarray, *, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Yields how often each sample is drawn, with replacement inside its stratum.

    A resample is a row of weights, so that metrics are products and cumulative sums of arrays and
    no metric is called once per resample.

    Shapes: strata (samples,), equal values are one stratum; yields float32 (resamples, samples) in
        blocks of at most 32 MB.
    """
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(strata == value) for value in np.unique(strata)]
    rows = max(1, _CHUNK // len(strata))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        weights = np.empty((count, len(strata)), np.float32)
        for group in groups:
            size = len(group)
            draws = rng.integers(0, size, size=(count, size))
            draws += np.arange(count)[:, None] * size
            counts = np.bincount(draws.ravel(), minlength=count * size)
            weights[:, group] = counts.reshape(count, size)
        yield weights


def percentile(value: float, resampled: np.ndarray) -> dict[str, float]:
    """Returns a figure with the 2.5th and 97.5th percentile of its resampled values.

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    low, high = np.quantile(resampled, (0.025, 0.975))
    return describe(value, min(low, value), max(high, value))


def effective_wilson(value: float, resampled: np.ndarray, *, size: float) -> dict[str, float]:
    """Returns a figure between 0 and 1 with Wilson's interval for its effective sample size.

    The bootstrap measures the variance, and the size is that of the proportion with the same
    variance. Near 1, where good models are, percentiles are far too narrow: for 60 samples and
    a true ROC-AUC of .998 they hold it in 71 % of 250 simulated splits, this in 96 % (m). Over 15
    cases of 60 to 100 samples this held the truth in 89 to 96 % of 1,000 splits (m).

    Args:
        value: the figure.
        resampled: the figure of each resample.
        size: the sample size to assume where no resample differs, as for a perfect score.

    Source:
        Dean and Pagano 2015, https://doi.org/10.1093/jssam/smv024, who compare such intervals for
        surveys. That it serves other figures than proportions is ours, by simulation.
    """
    spread, most = float(np.var(resampled)), value * (1 - value)
    size = most / spread if spread > _ROUNDING and most > 0 else size
    return wilson(value * size, size)


def calibration_interval(
    value: float, resampled: np.ndarray, calibrated: np.ndarray
) -> dict[str, float]:
    """Returns a calibration error with its interval; noise can only raise such a figure.

    The basic bootstrap takes the bias off that percentiles add a second time, but too little of
    it. So the low end is 0 where a calibrated model would show as much: of 250 simulated splits of
    a calibrated model percentiles hold its true error in none, this in 98 % (m).

    Args:
        value: the calibration error.
        resampled: that of each resample.
        calibrated: that of answers drawn to be right exactly as often as the model says.

    Source:
        Davison and Hinkley 1997, Bootstrap Methods and their Application, eq. 5.6; Bröcker and
        Smith 2007, https://doi.org/10.1175/WAF993.1, for the drawn answers.
    """
    low, high = np.quantile(resampled, (0.025, 0.975))
    if value <= np.quantile(calibrated, 0.975):
        return describe(value, 0.0, max(2 * value - low, value))
    return describe(value, max(0.0, min(2 * value - high, value)), max(2 * value - low, value))
