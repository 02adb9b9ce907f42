"""Samples that a model got wrong and was sure of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfxfer.data.samples import SampleSplit
from tfxfer.errors import DataError, RunError
from tfxfer.inference.stored_answers import read_run_answers
from tfxfer.modality import Modality
from tfxfer.run.directory import RunDirectory
from tfxfer.sample import Sample

__all__ = ["Mistake", "find_mistakes", "list_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Args:
        sample: where it is.
        truth: its label in the data.
        label: what the model said.
        score: how sure it was.
    """

    sample: Sample
    truth: str
    label: str
    score: float

    def to_dict(self, modality: Modality) -> dict[str, Any]:
        """Returns plain JSON data, in which a sample is as a person reads it.

        Raises:
            DataError: the sample cannot be read any more.
        """
        name, said = self.sample.name, modality.describe_sample(self.sample)
        found = {modality.noun: said} | ({"place": name} if said != name else {})
        return found | {"truth": self.truth, "label": self.label, "score": self.score}


def find_mistakes(
    split: SampleSplit, rows: Sequence[Mapping[str, Any]], count: int
) -> tuple[Mistake, ...]:
    """Returns the wrong answers to some samples, the surest first.

    Args:
        split: the samples.
        rows: from `list_answers`; none is wrong where a task's answers are nearer or farther.
        count: how many at most.
    """
    return _rank(
        (
            Mistake(record.locate(split.root), row["truth"], row["label"], float(row["score"]))
            for record, row in zip(split.records, rows, strict=True)
            if row["right"] == "false"
        ),
        count,
    )


def list_mistakes(
    run: RunDirectory, count: int, *, locate: Callable[[str], Sample]
) -> tuple[Mistake, ...]:
    """Returns the wrong answers of a run to its validation and test samples, the surest first.

    Imports neither Keras nor TensorFlow.

    Args:
        run: a finished one.
        count: how many at most.
        locate: finds a sample by its path.

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
            Mistake(locate(row["path"]), row["truth"], row["label"], float(row["score"]))
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
    return _rank(wrong, count)


def _rank(mistakes: Iterable[Mistake], count: int) -> tuple[Mistake, ...]:
    ordered = sorted(mistakes, key=lambda item: (-item.score, item.sample.name))
    return tuple(ordered[:count])
