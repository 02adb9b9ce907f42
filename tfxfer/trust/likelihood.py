"""How likely the truth is under a model's logits, divided by one temperature or another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

__all__ = ["LEAST", "MOST", "Likelihood", "Link", "apply_link", "find_logits", "measure_losses"]

Link = Literal["softmax", "sigmoid"]

LEAST, MOST = 0.05, 20.0
"""What a temperature may be; one at an end is not the samples' word."""

_STEPS = 30  # halvings of an interval of log 400: to 6e-9
_TINY = float(np.finfo(np.float32).tiny)
_ALMOST_1 = 1 - float(np.finfo(np.float32).epsneg)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of some samples' truth as a function of one temperature.

    Args:
        logits: of the samples.
        targets: one-hot under softmax, 0 and 1 under sigmoid.
        link: what makes scores of logits.

    Shapes: (samples, outputs) each.
    """

    logits: np.ndarray
    targets: np.ndarray
    link: Link

    @property
    def is_chance(self) -> bool:
        """Whether the answers are no better than chance: then no temperature is too high."""
        return self._slope(1 / MOST) >= 0

    @cached_property
    def has_maximum(self) -> bool:
        """Whether some temperature is the likeliest; else none is too low."""
        return self._slope(1 / LEAST) > 0

    @cached_property
    def likeliest(self) -> float:
        """The temperature of the greatest likelihood, or the least of all where there is none.

        The negative log likelihood is convex in 1 / temperature, so that its derivative, the mean
        logit by the model minus that by the truth, has one root.
        """
        if not self.has_maximum:
            return LEAST
        return _halve(lambda t: self._slope(1 / t) > 0, LEAST, MOST)

    def find_deviance(self, temperature: float) -> float:
        """Returns how much less likely a temperature is than the likeliest: chi squared of one.

        Outputs of one sample may err together, and a temperature alone may not be all that is
        wrong: each makes the score vary by more than the curvature says, by which it is divided.

        Source:
            Wilks 1938 for the distribution; Chandler and Bate 2007,
            https://doi.org/10.1093/biomet/asm015, section 3, for the division.
        """
        at, best = (
            measure_losses(self.logits / t, self.targets, self.link).sum()
            for t in (temperature, self.likeliest)
        )
        outputs = self.targets.shape[1] if self.link == "sigmoid" else 1
        return max(0.0, 2 * outputs * float(at - best) / self._inflation)

    def find_end(self, deviance: float) -> float:
        """Returns the temperature between the likeliest and 1 that is less likely by so much.

        Args:
            deviance: below that of 1.
        """
        low, high = sorted((self.likeliest, 1.0))
        rises = self.likeliest < 1
        return _halve(lambda t: (self.find_deviance(t) < deviance) == rises, low, high)

    @cached_property
    def _inflation(self) -> float:
        """How many times as much the score varies as its curvature says, at the likeliest."""
        if not self.has_maximum:  # nothing varies there: outputs may all be one
            return float(self.targets.shape[1]) if self.link == "sigmoid" else 1.0
        inverse = 1 / self.likeliest
        p = apply_link(self.logits * inverse, self.link)
        scores = ((p - self.targets) * self.logits).sum(axis=1)
        if self.link == "softmax":
            mean = (p * self.logits).sum(axis=1)
            curvature = (p * self.logits**2).sum(axis=1) - mean**2
        else:
            curvature = (p * (1 - p) * self.logits**2).sum(axis=1)
        return max(1.0, float(np.square(scores).sum() / curvature.sum()))

    def _slope(self, inverse: float) -> float:
        """Returns the derivative of the negative log likelihood by 1 / temperature."""
        excess = apply_link(self.logits * inverse, self.link) - self.targets
        return float((excess * self.logits).sum(axis=1).mean())


def find_logits(scores: np.ndarray, link: Link) -> np.ndarray:
    """Returns the logits of scores, under softmax up to one constant for each sample.

    Shapes: (samples, outputs); returns the same, float64.
    """
    p = np.clip(np.asarray(scores, np.float64), _TINY, None)
    if link == "softmax":
        return np.log(p)
    p = np.minimum(p, _ALMOST_1)
    return np.log(p) - np.log1p(-p)


def apply_link(logits: np.ndarray, link: Link) -> np.ndarray:
    """Returns the scores of logits.

    Shapes: (samples, outputs); returns the same.
    """
    if link == "sigmoid":
        return np.exp(-np.logaddexp(0, -logits))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def measure_losses(logits: np.ndarray, targets: np.ndarray, link: Link) -> np.ndarray:
    """Returns the negative log likelihood of each sample, under sigmoid the mean of its outputs.

    Shapes: (samples, outputs) each; returns (samples,).
    """
    if link == "sigmoid":
        return (np.logaddexp(0, logits) - targets * logits).mean(axis=1)
    most = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - most).sum(axis=1)) + most[:, 0]
    return total - (targets * logits).sum(axis=1)


def _halve(is_above: Callable[[float], bool], low: float, high: float) -> float:
    """Returns the temperature that a condition on lower ones says lies above them."""
    low, high = math.log(low), math.log(high)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if is_above(math.exp(middle)):
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)
