"""Two models' answers to the same samples, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.intervals import matched_interval

__all__ = ["AnswerPair", "Comparison", "ModelAnswer", "compare_answers"]


@dataclass(frozen=True)
class ModelAnswer:
    """What a model said of a sample.

    Args:
        path: of the sample, as its data have it.
        truth: what it is.
        label: what was answered.
        right: whether that is right.
    """

    path: str
    truth: str
    label: str
    right: bool


@dataclass(frozen=True)
class AnswerPair:
    """Two answers to one sample."""

    first: ModelAnswer
    second: ModelAnswer


@dataclass(frozen=True)
class Comparison:
    """How often each of two models is right where the other is not.

    Args:
        both: samples of which both are right.
        only_first: of which the first alone is.
        only_second: of which the second alone is.
        neither: of which none is.
        difference: share of right answers of the second less that of the first, with a 95 %
            interval: `value`, `low`, `high`.
        differing: the pairs of which one is right.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    difference: dict[str, float]
    differing: tuple[AnswerPair, ...]

    @property
    def samples(self) -> int:
        """How many samples were compared."""
        return self.both + self.only_first + self.only_second + self.neither

    def describe(self, first: str, second: str, *, plural: str) -> str:
        """Returns the result as a sentence.

        Args:
            first: name of the first model.
            second: of the second one.
            plural: what samples are called.
        """
        points = {key: 100 * value for key, value in self.difference.items()}
        counts = (
            f"{second} is right on {self.only_second} {plural} where {first} is wrong, {first} on "
            f"{self.only_first} where {second} is"
        )
        if points["low"] <= 0 <= points["high"]:
            return (
                f"{counts}: no difference can be seen with {self.samples:,} {plural}, "
                f"{points['value']:+.1f} points [{points['low']:+.1f}, {points['high']:+.1f}]"
            )
        better = second if points["value"] > 0 else first
        low, high = sorted(abs(points[key]) for key in ("low", "high"))
        value = abs(points["value"])
        return f"{counts}: {better} is better by {value:.1f} points [{low:.1f}, {high:.1f}]"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "both": self.both,
            "only_a": self.only_first,
            "only_b": self.only_second,
            "neither": self.neither,
            "difference": self.difference,
            "differing": [
                {
                    "path": pair.first.path,
                    "truth": pair.first.truth,
                    "a": pair.first.label,
                    "b": pair.second.label,
                }
                for pair in self.differing
            ],
        }


def compare_answers(
    first: Mapping[str, ModelAnswer], second: Mapping[str, ModelAnswer]
) -> Comparison:
    """Returns how two models do on the samples that both have answered.

    Args:
        first: answers of the first model, by what identifies a sample.
        second: of the second one.

    Raises:
        DataError: no sample in common.
    """
    pairs = [AnswerPair(first[key], second[key]) for key in first if key in second]
    if not pairs:
        raise DataError(
            f"compare: expected samples that both models have answered. Received: none in common, "
            f"of {len(first):,} and {len(second):,}. Score both on the same: --data DATA"
        )
    right = np.array([[pair.first.right, pair.second.right] for pair in pairs])
    differences = right[:, 1].astype(np.float64) - right[:, 0]
    return Comparison(
        both=int(right.all(axis=1).sum()),
        only_first=int((differences < 0).sum()),
        only_second=int((differences > 0).sum()),
        neither=int((~right.any(axis=1)).sum()),
        difference=matched_interval(differences),
        differing=tuple(
            pair for pair, change in zip(pairs, differences, strict=True) if change != 0
        ),
    )
