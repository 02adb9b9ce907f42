"""Abstention: which answers are too unsure to be given, and what the others are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation.intervals import wilson
from tfxfer.trust.estimate import Estimate

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = [
    "LEVELS",
    "Abstention",
    "check_min_score",
    "find_confidence",
    "is_sure",
    "list_abstentions",
    "measure_abstention",
]

LEVELS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Lowest scores that a table of coverage against accuracy shows."""


@dataclass(frozen=True)
class Abstention:
    """What becomes of answers if the unsure ones are not given.

    Args:
        min_score: an answer is given from this score on.
        answered: how many are.
        coverage: which share of all samples that is.
        accuracy: which share of them is right; None where none is given.
    """

    min_score: float
    answered: int
    coverage: Estimate
    accuracy: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)

    def describe(self) -> str:
        """Returns a line for a person.

        Example:
            >>> measure_abstention(np.array([0.9, 0.8, 0.4]), np.array([1, 1, 0]), 0.5).describe()
            'from a score of 0.5 on: 2 answered, 66.7 %, of these right 100.0 % [34.2, 100.0]'
        """
        line = (
            f"from a score of {self.min_score:g} on: {self.answered:,} answered, "
            f"{100 * self.coverage.value:.1f} %"
        )
        return f"{line}, of these right {_write(self.accuracy)}" if self.accuracy else line

    def cells(self) -> tuple[str, str, str]:
        """Returns a row of a table: the lowest score, the coverage, the accuracy."""
        accuracy = "none answered" if self.accuracy is None else _write(self.accuracy)
        return f"{self.min_score:g}", f"{100 * self.coverage.value:.1f} %", accuracy


def measure_abstention(confidence: np.ndarray, right: np.ndarray, min_score: float) -> Abstention:
    """Returns how many answers are given, and how many of these are right.

    Args:
        confidence: score of each answer, 0..1.
        right: whether it is right.
        min_score: an answer is given from this score on.

    Shapes: (samples,) each.

    Returns:
        Shares with Wilson's intervals.

    Raises:
        DataError: no answers, or other shapes.

    Source:
        El-Yaniv and Wiener 2010, https://jmlr.org/papers/v11/el-yaniv10a.html: coverage, and the
        risk of what is covered.
    """
    sure, truth = np.asarray(confidence, np.float64), np.asarray(right) > 0
    if sure.ndim != 1 or sure.shape != truth.shape or not len(sure):
        raise DataError(
            "abstention: expected one score and one right or wrong for each answer. "
            f"Received: confidence={sure.shape}, right={truth.shape}."
        )
    given = is_sure(sure, min_score)
    answered = int(given.sum())
    return Abstention(
        float(min_score),
        answered,
        Estimate.of(wilson(answered, len(sure))),
        Estimate.of(wilson(int(truth[given].sum()), answered)) if answered else None,
    )


def list_abstentions(
    confidence: np.ndarray, right: np.ndarray, levels: Sequence[float] = LEVELS
) -> list[Abstention]:
    """Returns coverage and accuracy at several lowest scores.

    Levels at which nothing more is left out than at the one before are left out themselves.

    Shapes: (samples,) each.
    """
    found: list[Abstention] = []
    for level in levels:
        item = measure_abstention(confidence, right, level)
        if not found or item.answered < found[-1].answered:
            found.append(item)
    return found


def is_sure(confidence: np.ndarray, min_score: float) -> np.ndarray:
    """Returns which answers are given: a score as high as the lowest is enough.

    Shapes: bool, as `confidence`.
    """
    return np.asarray(np.asarray(confidence, np.float64) >= min_score)


def check_min_score(head: Head) -> None:
    """Refuses a head whose score is not how sure it is.

    Raises:
        UsageError: its answers are nearer or farther, never simply right.
    """
    if not head.figures.counted:
        raise UsageError(
            "--min-score: expected a head whose answers are right or wrong, with a score of how "
            f"sure it is. Received: head={head.name!r}. Leave --min-score out."
        )


def find_confidence(
    head: Head, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns how sure a head is of each answer, and whether it is right.

    Args:
        head: the task.
        targets: as it encodes them.
        scores: as a model puts them out.
        labels: one name per output.

    Shapes: targets and scores (samples, outputs); returns float64 and bool (samples,).

    Returns:
        None for a head whose answers are nearer or farther, never simply right.
    """
    if not head.figures.counted:
        return None
    rights = head.make_figures(targets, scores, labels).rights()
    # Of several ways to be right the first is the strict one, such as the very label.
    confidence = np.array([item.score for item in head.decode(scores, labels)])
    return confidence, np.asarray(next(iter(rights.values())))


def _write(figure: Estimate) -> str:
    value, low, high = (100 * x for x in (figure.value, figure.low, figure.high))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"
