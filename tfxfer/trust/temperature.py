"""One temperature for a model's logits, fitted so that its confidence is right as often as it says.

Here is the mathematics, of scores as arrays; `tfxfer.trust.calibration` does it to a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.bootstrap import RESAMPLES
from tfxfer.evaluation.intervals import percentile, resample
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.likelihood import (
    Likelihood,
    Link,
    apply_link,
    find_logits,
    measure_losses,
)
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

FEWEST_SAMPLES = 20
"""Below this many, the temperature says more of the draw than of the model."""

_SURE = 6.635
"""99 % point of chi squared of one degree of freedom."""


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
    """Returns the temperature that validation samples are sure of.

    The likeliest one follows their luck, and on few samples it makes others less likely more often
    than not. How much less likely 1 is than the likeliest one, the deviance, says what there is to
    gain beyond that, and what is taken of it depends on the direction:

    - Above 1, answers become more modest, which costs little where it was not needed. The logarithm
      of the likeliest temperature is shrunk by 1 - 1 / deviance, to 1 at a deviance of 1 or less.
    - Below 1, answers become surer, which costs much where it is wrong; and the samples have often
      chosen the epoch, too, so that they are righter than others will be. It is the end next to 1
      of the 99 % interval of likelihood, and 1 where the interval holds 1.

    Both tend to the likeliest one as samples become many. Where every sample is right there is no
    likeliest one, and the same interval has an end all the same.

    Args:
        scores: probabilities, as the model puts them out.
        targets: one-hot under softmax, 0 and 1 under sigmoid.
        link: what makes scores of logits.

    Shapes: (samples, outputs) each.

    Raises:
        DataError: scores that are no probabilities, or other shapes.

    Source:
        Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599, for the likeliest one; Efron
        and Morris 1973, https://doi.org/10.1080/01621459.1973.10481350, for the shrinkage, positive
        part, with the deviance in place of the square over its variance; Cox and Hinkley 1974,
        Theoretical Statistics, section 7.2, for the interval. That the two directions are treated
        differently is ours.
    """
    targets = _check(scores, targets)
    samples = len(targets)
    if samples < FEWEST_SAMPLES:
        return Temperature(
            1.0, f"{samples} validation samples are too few for one; it takes {FEWEST_SAMPLES}"
        )
    logits = find_logits(scores, link)
    if link == "softmax":
        # Of samples that are right every term of the slope is then below 0, however small.
        logits -= (targets * logits).sum(axis=1, keepdims=True)
    likelihood = Likelihood(logits, targets, link)
    if likelihood.is_chance:
        return Temperature(1.0, "the answers are no better than chance on the validation samples")
    likeliest, gain = likelihood.likeliest, likelihood.find_deviance(1.0)
    if likeliest > 1 and gain > 1:
        return Temperature(likeliest ** (1 - 1 / gain))
    if likeliest <= 1 and gain > _SURE:
        value = likelihood.find_end(_SURE)
        words = f"as sure as {samples} validation samples without a mistake allow"
        return Temperature(value, "" if likelihood.has_maximum else words)
    if not likelihood.has_maximum:
        return Temperature(
            1.0, f"{samples} validation samples without a mistake ask for none beyond chance"
        )
    return Temperature(
        1.0, f"that which {samples} validation samples ask for ({likeliest:.3g}) may be chance"
    )


def temper(scores: np.ndarray, temperature: float, *, link: Link) -> np.ndarray:
    """Returns the scores of a model whose logits are divided by a temperature.

    A probability that float32 cannot tell from 1 counts as the nearest to it.

    Shapes: (samples, outputs); returns the same, float32.

    Example:
        >>> temper(np.array([[0.9, 0.1]]), 2.0, link="softmax").tolist()
        [[0.75, 0.25]]
    """
    logits = find_logits(scores, link) / temperature
    return apply_link(logits, link).astype(np.float32)


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
    losses = measure_losses(find_logits(scores, link), targets, link)
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
