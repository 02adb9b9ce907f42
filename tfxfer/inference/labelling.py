"""Samples that somebody names, and what a model says of each: one that fails costs itself alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import DataError
from tfxfer.head import Prediction
from tfxfer.inference.listing import expand_name
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.modality import Modality, Sample
from tfxfer.progress import Progress

__all__ = ["Labelled", "check_samples", "find_samples", "label_samples"]


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
        if self.prediction is None:
            kind, message = type(self.error).__name__, str(self.error)
            return {noun: self.name, "error": {"type": kind, "message": message}}
        found = self.prediction
        return {noun: self.name, "label": found.label, "score": found.score, "scores": found.scores}


def find_samples(arguments: Sequence[str], modality: Modality) -> list[Labelled]:
    """Returns the samples that words of a command line mean, none of them opened.

    Args:
        arguments: samples; where those are files also folders, whose samples are taken at any
            depth, and patterns with `*`, `?` or `[]`, which not every shell resolves.
        modality: what a sample is.

    Returns:
        In the order of the words, those of a folder by path. What is not there has an error.
    """
    found = []
    for argument in arguments:
        try:
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
