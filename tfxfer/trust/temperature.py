"""One temperature for a model's logits, fitted so that its confidence is right as often as it says.

Here is the mathematics, of scores as arrays; `tfxfer.trust.calibration` does it to a model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.bootstrap import RESAMPLES
from tfxfer.evaluation.intervals import percentile, resample
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.reliability import measure_calibration_error
from tfxfer.trust.stored import PlainRecord

__all__ = [
    "FEWEST_SAMPLES",
    "Calibration",
    "CalibrationFigures",
    "SplitCalibration",
    "Temperature",
    "compare_calibration",
    "find_temperature",
    "temper",
]

Link = Literal["softmax", "sigmoid"]

FEWEST_SAMPLES = 20
"""Below this many, the temperature says more of the draw than of the model."""

LEAST, MOST = 0.05, 20.0
"""What a temperature may be; one at an end is not the samples' word."""

_STEPS = 30  # halvings of an interval of log 400: to 6e-9
_TINY = float(np.finfo(np.float32).tiny)
_ALMOST_1 = 1 - float(np.finfo(np.float32).epsneg)


@dataclass(frozen=True)
class Temperature:
    """What a validation split says of a model's confidence.

    Args:
        value: by which logits are to be divided; 1 leaves them alone.
        reason: how it came about where that is not the usual way, or why it is 1.
    """

    value: float
    reason: str = ""


@dataclass(frozen=True)
class CalibrationFigures:
    """How good some probabilities are.

    Args:
        log_loss: negative log likelihood of the truth; of several labels their mean.
        calibration_error: expected calibration error of the answers, of several labels each one's
            yes or no; 15 bins of equal width.
    """

    log_loss: Estimate
    calibration_error: Estimate


@dataclass(frozen=True)
class SplitCalibration:
    """What a temperature did to one split.

    Args:
        samples: of the split.
        before: of the model as it was trained.
        after: with its logits divided by the temperature.
    """

    samples: int
    before: CalibrationFigures
    after: CalibrationFigures


@dataclass(frozen=True)
class Calibration(PlainRecord):
    """The calibration of a run, `calibration` in its `run.json`.

    Args:
        temperature: what the model's logits were divided by; 1 where they were left alone.
        val: on which it was fitted.
        test: on which nothing was; None where there was none.
        reason: see `Temperature`.
    """

    title: ClassVar[str] = "calibration"

    temperature: float
    val: SplitCalibration
    test: SplitCalibration | None = None
    reason: str = ""

    def describe(self) -> str:
        """Returns a line for a person.

        Example:
            >>> def figures(off):
            ...     return CalibrationFigures(Estimate(0.5, 0.4, 0.6), Estimate(off, 0.0, 0.2))
            >>> test = SplitCalibration(90, figures(0.19), figures(0.03))
            >>> Calibration(2.31, test, test).describe()
            'confidence: off by 19.0 points before, 3.0 after one temperature (2.31)'
        """
        shown = self.val if self.test is None else self.test
        before, after = (
            f"{100 * each.calibration_error.value:.1f}" for each in (shown.before, shown.after)
        )
        if self.temperature == 1:
            return f"confidence: off by {before} points; no temperature, {self.reason}"
        line = (
            f"confidence: off by {before} points before, {after} after one temperature "
            f"({self.temperature:.3g})"
        )
        return f"{line}; {self.reason}" if self.reason else line


def find_temperature(scores: np.ndarray, targets: np.ndarray, *, link: Link) -> Temperature:
    """Returns the temperature that is likeliest by validation samples.

    It minimises their negative log likelihood, which is convex in 1 / temperature, so that its
    derivative, the mean logit by the model minus that by the truth, has one root. A temperature
    that does not lower the likelihood of the samples, or that so few of them cannot give, is 1.

    Where every sample is right and each one's likelihood only grows with confidence, there is no
    such root. The temperature is then fitted to targets by which one of samples + 2 was taken for
    the likeliest wrong answer: after so many successes that is the next one's probability to fail.

    Args:
        scores: probabilities, as the model puts them out.
        targets: one-hot under softmax, 0 and 1 under sigmoid.
        link: what makes scores of logits.

    Shapes: (samples, outputs) each.

    Raises:
        DataError: scores that are no probabilities, or other shapes.

    Source:
        Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599. Rule of succession:
        Laplace 1774; as targets of a calibration, Platt 1999, section 2.2. That it is used only
        where the likelihood has no maximum is ours.
    """
    targets = _check(scores, targets)
    samples = len(targets)
    if samples < FEWEST_SAMPLES:
        return Temperature(
            1.0, f"{samples} validation samples are too few for one; it takes {FEWEST_SAMPLES}"
        )
    logits, wanted, reason = _find_logits(scores, link), targets, ""
    if link == "softmax":
        # Of samples that are right every term of the slope is then below 0, however small.
        logits -= (targets * logits).sum(axis=1, keepdims=True)
    if _slope(logits, targets, link, 1 / MOST) >= 0:
        return Temperature(1.0, "the answers are no better than chance on the validation samples")
    if _slope(logits, targets, link, 1 / LEAST) <= 0:
        wanted = _soften(logits, targets, link)
        reason = "fitted as if one more sample were wrong, since no validation sample is"
    value = _find_root(logits, wanted, link)
    before, after = (_measure_losses(logits / t, targets, link).mean() for t in (1, value))
    if after >= before:
        return Temperature(1.0, "none makes the validation samples likelier")
    return Temperature(value, reason)


def temper(scores: np.ndarray, temperature: float, *, link: Link) -> np.ndarray:
    """Returns the scores of a model whose logits are divided by a temperature.

    A probability that float32 cannot tell from 1 counts as the nearest to it.

    Shapes: (samples, outputs); returns the same, float32.

    Example:
        >>> temper(np.array([[0.9, 0.1]]), 2.0, link="softmax").tolist()
        [[0.75, 0.25]]
    """
    logits = _find_logits(scores, link) / temperature
    return _link(logits, link).astype(np.float32)


def compare_calibration(
    before: np.ndarray, after: np.ndarray, targets: np.ndarray, *, link: Link, seed: int = 0
) -> SplitCalibration:
    """Returns how good the probabilities of a split were and are; see `find_temperature`.

    Args:
        before: scores of the model as it was trained.
        after: scores with the temperature.
        targets: of the samples.
        link: what makes scores of logits.
        seed: of the intervals.

    Shapes: (samples, outputs) each.
    """
    truth = _check(before, targets)
    first, second = (_measure(scores, truth, link, seed) for scores in (before, after))
    return SplitCalibration(len(truth), first, second)


def _measure(scores: np.ndarray, targets: np.ndarray, link: Link, seed: int) -> CalibrationFigures:
    losses = _measure_losses(_find_logits(scores, link), targets, link)
    draws = resample(np.zeros(len(losses), int), seed=seed, resamples=RESAMPLES)
    resampled = np.concatenate([weights @ losses / len(losses) for weights in draws])
    loss = Estimate.of(percentile(float(losses.mean()), resampled))
    if link == "softmax":
        confidence = scores.max(axis=1)
        right = scores.argmax(axis=1) == targets.argmax(axis=1)
    else:
        confidence = np.maximum(scores, 1 - scores)
        right = (scores > 0.5) == (targets > 0.5)
    return CalibrationFigures(loss, measure_calibration_error(confidence, right, seed=seed))


def _check(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    truth = np.asarray(targets, np.float64)
    if truth.ndim != 2 or truth.shape != scores.shape or not truth.size:
        raise DataError(
            "calibration: expected scores and targets of (samples, outputs), one sample or more. "
            f"Received: scores={scores.shape}, targets={truth.shape}."
        )
    # Not `<` and `>`: a NaN would pass.
    if not ((scores >= 0) & (scores <= 1)).all():
        raise DataError(
            "calibration: expected probabilities 0..1 as scores. "
            f"Received: {scores.min():.3g} to {scores.max():.3g}."
        )
    return truth


def _find_logits(scores: np.ndarray, link: Link) -> np.ndarray:
    """Returns the logits, under softmax up to one constant for each sample."""
    p = np.clip(np.asarray(scores, np.float64), _TINY, None)
    if link == "softmax":
        return np.log(p)
    p = np.minimum(p, _ALMOST_1)
    return np.log(p) - np.log1p(-p)


def _link(logits: np.ndarray, link: Link) -> np.ndarray:
    if link == "sigmoid":
        return np.exp(-np.logaddexp(0, -logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _measure_losses(logits: np.ndarray, targets: np.ndarray, link: Link) -> np.ndarray:
    """Returns the negative log likelihood of each sample."""
    if link == "sigmoid":
        return (np.logaddexp(0, logits) - targets * logits).mean(axis=1)
    most = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
    return total - (targets * logits).sum(axis=1)


def _slope(logits: np.ndarray, targets: np.ndarray, link: Link, inverse: float) -> float:
    """Returns the derivative of the negative log likelihood by 1 / temperature."""
    excess = _link(logits * inverse, link) - targets
    return float((excess * logits).sum(axis=1).mean())


def _find_root(logits: np.ndarray, targets: np.ndarray, link: Link) -> float:
    low, high = math.log(LEAST), math.log(MOST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # Too steep a likelihood still: the temperature is above.
        if _slope(logits, targets, link, math.exp(-middle)) > 0:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _soften(logits: np.ndarray, targets: np.ndarray, link: Link) -> np.ndarray:
    """Returns targets by which one of samples + 2 was taken for its likeliest wrong answer."""
    share = 1 / (len(targets) + 2)
    if link == "sigmoid":
        return targets * (1 - share) + (1 - targets) * share
    second = np.where(targets > 0.5, -np.inf, logits).argmax(axis=1)
    return targets * (1 - share) + np.eye(targets.shape[1])[second] * share
