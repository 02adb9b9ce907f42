"""Samples that a run got wrong and was sure of, from what it stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfxfer.errors import DataError, RunError
from tfxfer.inference.stored_answers import read_run_answers
from tfxfer.run.directory import RunDirectory

__all__ = ["Mistake", "list_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Args:
        path: of the sample.
        truth: its label in the data.
        label: what the model said.
        score: how sure it was.
    """

    path: Path
    truth: str
    label: str
    score: float


def list_mistakes(run: RunDirectory, count: int, *, root: Path) -> tuple[Mistake, ...]:
    """Returns the wrong answers of a run to its validation and test samples, the surest first.

    Imports neither Keras nor TensorFlow.

    Args:
        run: a finished one.
        count: how many at most.
        root: that the paths of its samples are relative to.

    Raises:
        RunError: its answers were not kept.
        DataError: a table that cannot be read, or a task whose answers are not right or wrong.
    """
    table = run.predictions_path
    if not table.is_file():
        raise RunError(
            f"run {str(run.path)!r}: expected predictions.csv, which names its mistakes. "
            "Received: none. Name the samples."
        )
    rows = read_run_answers(run)
    try:
        wrong = [
            Mistake(root / row["path"], row["truth"], row["label"], float(row["score"]))
            for row in rows
            if row["right"] == "false"
        ]
    except ValueError as error:
        raise DataError(
            f"table {str(table)!r}: expected a number as score. Received: {error}."
        ) from error
    if not {row["right"] for row in rows} <= {"true", "false"}:
        raise DataError(
            f"run {str(run.path)!r}: expected answers that are right or wrong. Received: a task "
            "whose answers are nearer or farther. Name the samples."
        )
    ordered = sorted(wrong, key=lambda item: (-item.score, str(item.path)))
    return tuple(ordered[:count])
