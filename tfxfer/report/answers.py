"""What a run answered, as the page shows it: one by one, beside the truth, by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.errors import DataError, TfxferError
from tfxfer.head import Head
from tfxfer.inference.stored_answers import read_run_answers
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.reliability import Reliability, measure_reliability

__all__ = ["Answer", "compare_encoded", "measure_confidence", "read_answers"]


@dataclass(frozen=True)
class Answer:
    """One row of `predictions.csv`.

    Args:
        path: of the sample.
        split: that it belongs to.
        truth: its label.
        label: what the model says.
        score: how sure it is; of a number the number.
        is_right: None for a task whose answers are never simply right.
    """

    path: str
    split: str
    truth: str
    label: str
    score: float
    is_right: bool | None


def read_answers(run: RunDirectory) -> tuple[Answer, ...]:
    """Returns the answers of a run to its validation and test samples; none where it kept none.

    Raises:
        DataError: a table that cannot be read.
    """
    if not run.predictions_path.is_file():
        return ()
    rights = {"true": True, "false": False, "": None}
    rows = read_run_answers(run)
    try:
        return tuple(
            Answer(
                row["path"], row["split"], row["truth"], row["label"],
                float(row["score"]), rights[row["right"]],
            )
            for row in rows
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise DataError(
            f"table {str(run.predictions_path)!r}: expected numbers as score, and right as true, "
            f"false or nothing. Received: {type(error).__name__}: {error}."
        ) from error


def compare_encoded(
    answers: Sequence[Answer], head: Head, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns truths and answers as the head encodes them; None where it cannot encode an answer.

    Shapes: float64 (answers, outputs) each.
    """
    try:
        found = [
            np.asarray(head.encode(raw, labels), np.float64)
            for raw in ([x.truth for x in answers], [x.label for x in answers])
        ]
    except TfxferError:
        return None  # not every head's answers are also labels
    return found[0], found[1]


def measure_confidence(answers: Sequence[Answer], *, seed: int) -> Reliability | None:
    """Returns how often answers of each confidence are right; None where that has no meaning.

    It has none for a task whose answers are never simply right, or whose scores are not 0..1.
    """
    if not answers or any(answer.is_right is None for answer in answers):
        return None
    scores = np.array([answer.score for answer in answers])
    if not ((scores >= 0) & (scores <= 1)).all():
        return None
    right = np.array([answer.is_right for answer in answers])
    return measure_reliability(scores, right, seed=seed)
