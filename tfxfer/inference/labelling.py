"""Samples that somebody names, and what a model says of each: one that fails costs itself alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.cells import is_table
from tfxfer.data.columns import Columns
from tfxfer.data.unlabelled import read_lines, read_unlabelled_table
from tfxfer.errors import DataError
from tfxfer.head import Prediction
from tfxfer.inference.listing import expand_name
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.sample import Sample

__all__ = ["STDIN", "Labelled", "check_samples", "find_samples", "label_samples"]

STDIN = "-"
"""What stands for the lines of stdin on a command line."""


@dataclass(frozen=True)
class Labelled:
    """What became of one sample.

    Args:
        name: as it was typed or found.
        sample: where it is; None where nothing is there.
        prediction: what the model says of it.
        error: why it says nothing.
    """

    name: str
    sample: Sample | None = None
    prediction: Prediction | None = None
    error: DataError | None = None

    def to_dict(self, noun: str) -> dict[str, Any]:
        """Returns the document of one sample.

        Args:
            noun: key of its name, such as `image`.
        """
        document: dict[str, Any] = {noun: self.shown}
        if self.shown != self.name:
            document["place"] = self.name
        if self.prediction is None:
            kind, message = type(self.error).__name__, str(self.error)
            return {**document, "error": {"type": kind, "message": message}}
        found = self.prediction
        return document | {"label": found.label, "score": found.score, "scores": found.scores}

    @property
    def shown(self) -> str:
        """What stands for the sample in a document: itself where it is no file, else its name."""
        content = None if self.sample is None else self.sample.content
        return self.name if content is None else content


def find_samples(
    arguments: Sequence[str],
    modality: Modality,
    *,
    columns: Columns | None = None,
    stdin: BinaryIO | None = None,
) -> list[Labelled]:
    """Returns the samples that words of a command line mean, none of them opened.

    Args:
        arguments: samples; tables of them, with or without labels; where they are files also
            folders, whose samples are taken at any depth, and patterns with `*`, `?` or `[]`,
            which not every shell resolves; and `-`, the lines of stdin, each a sample or the name
            of a file.
        modality: what a sample is.
        columns: what a table calls its samples, where that is not the modality's own name.
        stdin: where lines are handed in; None is the process's own.

    Returns:
        In the order of the words, those of a folder by path. What is not there has an error.
    """
    found: list[Labelled] = []
    for argument in arguments:
        try:
            if argument == STDIN:
                data = (stdin or sys.stdin.buffer).read()
                lines = read_lines(data, where="stdin")
                if modality.reads_cells:
                    found += [Labelled(x, Sample(x, content=x)) for x in lines]
                else:
                    found += find_samples([x for x in lines if x != STDIN], modality)
                continue
            if _is_table(argument, modality):
                rows = read_unlabelled_table(Path(argument), modality, columns)
                found += [Labelled(sample.name, sample) for sample in rows]
                continue
            names = expand_name(argument, modality)
        except DataError as error:
            found.append(Labelled(argument, error=error))
            continue
        for name in names:
            try:
                (sample,) = modality.parse_samples([name])
            except DataError as error:
                found.append(Labelled(name, error=error))
            else:
                found.append(Labelled(name, sample))
    return found


def _is_table(argument: str, modality: Modality) -> bool:
    """Returns whether a word is the name of a table, and not of a sample or of none."""
    if not is_table(argument) or Path(argument).suffix.lower() in modality.suffixes:
        return False
    try:
        is_there = Path(argument).is_file()
    except OSError:  # longer than any name of a file
        return False
    if not is_there and modality.reads_cells and len(argument.split()) == 1:
        raise DataError(f"table {argument!r}: expected a file. Received: nothing there.")
    return is_there


def check_samples(
    samples: Sequence[Labelled],
    modality: Modality,
    *,
    size: int,
    contract: Any,
    progress: Progress | None = None,
) -> list[Labelled]:
    """Returns the samples as they are where one can be read, else each with why it cannot.

    A model need not be loaded for this, and the first that can be read ends it.

    Args:
        samples: from `find_samples`; one with an error stays as it is.
        modality: reads a sample.
        size: of an input, in the modality's unit.
        contract: what the network expects of raw values.
        progress: told of samples that cannot be read.
    """
    checked = []
    with modality.reading():
        for item in samples:
            if item.sample is not None:
                try:
                    modality.read(item.sample, size=size, contract=contract)
                except DataError as error:
                    item = replace(item, error=error)
                else:
                    return list(samples)
            checked.append(item)
            if progress is not None:
                progress(f"reading {modality.plural}", len(checked), len(samples))
    return checked


def label_samples(
    predictor: Predictor,
    samples: Sequence[Labelled],
    *,
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Labelled]:
    """Returns the samples with what a model says of each, or why it says nothing.

    Args:
        predictor: the model.
        samples: from `find_samples`; one with an error stays as it is.
        strict: stop at the first that cannot be read.
        progress: told of samples done.

    Raises:
        DataError: with `strict`, one cannot be read.
    """
    modality, done = predictor.modality, []
    if progress is not None and samples:
        progress(f"labelling {modality.plural}", 0, len(samples))  # the first batch is traced
    with modality.reading():
        for start in range(0, len(samples), BATCH_SAMPLES):
            done += _label_batch(predictor, samples[start : start + BATCH_SAMPLES], strict)
            if progress is not None:
                progress(f"labelling {modality.plural}", len(done), len(samples))
    return done


def _label_batch(predictor: Predictor, samples: Sequence[Labelled], strict: bool) -> list[Labelled]:
    results = list(samples)
    arrays: list[Arrays] = []
    numbers = []
    for number, item in enumerate(samples):
        if item.sample is None:
            continue
        try:
            arrays.append(
                predictor.modality.read(
                    item.sample, size=predictor.size, contract=predictor.contract
                )
            )
            numbers.append(number)
        except DataError as error:
            if strict:
                raise
            results[number] = Labelled(item.name, item.sample, error=error)
    if numbers:
        inputs = map_arrays(lambda *parts: np.concatenate(parts), *arrays)
        answers = predictor.head.decode(predictor.score(inputs), predictor.labels)
        for number, answer in zip(numbers, answers, strict=True):
            results[number] = Labelled(samples[number].name, samples[number].sample, answer)
    return results
