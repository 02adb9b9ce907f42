"""Samples of any kind, without a label, as batches of what a network takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, list_arrays, map_arrays
from tfxfer.data.audit import count_workers
from tfxfer.data.passes import MOST_SAMPLES
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.data.trimming import fill_up
from tfxfer.errors import DataError
from tfxfer.inference.listing import list_samples
from tfxfer.modality import Modality
from tfxfer.sample import InputSpec, Sample
from tfxfer.system.arguments import describe_value
from tfxfer.system.threads import open_pool

__all__ = ["SampleStream", "Samples", "open_stream"]

Samples: TypeAlias = (
    str
    | Path
    | Sequence[str | Path | Sample]
    | SampleSplit
    | SampleData
    | np.ndarray
    | Mapping[str, np.ndarray]
    | Iterable[Any]
)
"""A folder, files, a pattern; a `SampleSplit` or `SampleData`; arrays; a `tf.data.Dataset`."""


@dataclass(frozen=True, eq=False)
class SampleStream:
    """Samples in a fixed order.

    Args:
        names: what each is called, such as its path; empty where nothing names them.
        count: how many there are; None where only reading them tells.
        iter_batches: yields inputs (n, …), at most so many at a time; a `tf.data.Dataset` yields
            its own batches.
    """

    names: tuple[str, ...]
    count: int | None
    iter_batches: Callable[[int], Iterator[Arrays]]


def open_stream(samples: Samples, *, modality: Modality, size: int, contract: Any) -> SampleStream:
    """Returns samples as batches of a model's inputs.

    Args:
        samples: a folder, whose samples may lie at any depth; a file, a pattern such as
            `photos/*.jpg`, or a list of them, or of samples; what `load_images` returns, or one
            part of it; an array (samples, …), or a dict of arrays by input name; or a batched
            `tf.data.Dataset` of inputs, or of tuples that begin with them.
        modality: reads a sample.
        size: of an input, in the modality's unit.
        contract: what the network expects of raw values.

    Raises:
        DataError: none of these, or inputs of another shape than the model's.
    """
    specs = modality.list_inputs(size, contract)
    if isinstance(samples, SampleData):
        parts = [_open_split(part) for part in (samples.train, samples.val, samples.test)]
        stream = SampleStream(
            tuple(name for part in parts for name in part.names),
            sum(part.count or 0 for part in parts),
            lambda rows: itertools.chain.from_iterable(part.iter_batches(rows) for part in parts),
        )
    elif isinstance(samples, SampleSplit):
        stream = _open_split(samples)
    elif hasattr(samples, "element_spec") and hasattr(samples, "cardinality"):
        stream = _open_dataset(samples)
    elif isinstance(samples, Mapping) or hasattr(samples, "__array__"):
        stream = _open_arrays(samples)
    elif isinstance(samples, (str, Path, list, tuple)):
        located = list_samples(samples, modality)

        def read(sample: Sample) -> Arrays:
            return modality.read(sample, size=size, contract=contract)

        names = tuple(sample.name for sample in located)
        return SampleStream(
            names, len(located), lambda rows: _read_files(located, read, modality, rows)
        )
    else:
        raise DataError(
            f"{modality.plural}: expected a folder, paths, arrays, samples from tfxfer.load_images "
            f"or a tf.data.Dataset. Received: {describe_value(samples)}."
        )

    def check_batches(rows: int) -> Iterator[Arrays]:
        for given in stream.iter_batches(rows):
            batch = _check_shapes(given, specs, modality)
            modality.check_inputs(batch, where=modality.plural)
            yield batch

    return SampleStream(stream.names, stream.count, check_batches)


def _open_split(split: SampleSplit) -> SampleStream:
    names = (
        str(split.root / record.path) if record.content is None else record.path
        for record in split.records
    )

    def read(rows: int) -> Iterator[Arrays]:
        for _, found in split.iter_views(batch_size=rows):
            yield map_arrays(lambda x: x[:, 0], found)

    return SampleStream(tuple(names), len(split), read)


def _open_arrays(samples: Any) -> SampleStream:
    whole: Arrays = (
        {name: np.asarray(values) for name, values in samples.items()}
        if isinstance(samples, Mapping)
        else np.asarray(samples)
    )
    arrays = list_arrays(whole)
    if not arrays or {x.ndim for x in arrays} & {0} or len({len(x) for x in arrays}) != 1:
        shown = ", ".join(str(x.shape) for x in arrays) or "none"
        raise DataError(
            f"arrays: expected some with as many samples each. Received: of shape {shown}."
        )
    count = count_rows(whole)

    def read(rows: int) -> Iterator[Arrays]:
        for start in range(0, count, rows):
            yield map_arrays(lambda x: x[start : start + rows], whole)  # noqa: B023  called at once

    return SampleStream((), count, read)


def _open_dataset(dataset: Any) -> SampleStream:
    batches = int(dataset.cardinality())
    if batches == -1:  # what tf.data calls infinite
        raise DataError(
            "dataset: expected an end. Received: one that repeats for ever. Take .repeat() out."
        )

    def read(_: int) -> Iterator[Arrays]:
        samples = 0
        for element in dataset:
            found = element[0] if isinstance(element, tuple) else element
            if isinstance(found, Mapping):
                batch: Arrays = {name: np.asarray(values) for name, values in found.items()}
            else:
                batch = np.asarray(found)
            yield batch
            samples += count_rows(batch)
            if batches < 0 and samples > MOST_SAMPLES:
                raise DataError(
                    f"dataset: expected an end, or a number of batches where there are more than "
                    f"{MOST_SAMPLES:,} samples. Received: neither. Add .take(n) to it."
                )

    return SampleStream((), None, read)


def _read_files(
    located: Iterable[Sample],
    read: Callable[[Sample], Arrays],
    modality: Modality,
    rows: int,
) -> Iterator[Arrays]:
    waiting = iter(located)
    with modality.reading(), open_pool(count_workers()) as pool:
        while chosen := tuple(itertools.islice(waiting, rows)):
            parts = list(pool.map(read, chosen))
            yield map_arrays(lambda *arrays: np.concatenate(arrays), *parts)


def _check_shapes(batch: Arrays, specs: Mapping[str, InputSpec], modality: Modality) -> Arrays:
    """Returns the inputs, of which padded ones that were cut are filled up again."""
    shapes = {name: spec.shape for name, spec in specs.items()}
    if isinstance(batch, dict) and set(batch) != set(shapes):
        raise DataError(
            f"{modality.plural}: expected a dict of inputs with the keys {list(shapes)}. "
            f"Received: {sorted(batch)}."
        )
    if not isinstance(batch, dict) and len(shapes) > 1:
        raise DataError(
            f"{modality.plural}: expected a dict of inputs with the keys {list(shapes)}. "
            "Received: one array."
        )
    batch = fill_up(batch, specs)
    given = batch if isinstance(batch, dict) else {next(iter(shapes)): batch}
    for name, shape in shapes.items():
        if given[name].shape[1:] != shape:
            words = ", ".join(["samples", *map(str, shape)])
            raise DataError(
                f"{modality.plural}: expected {name} of shape ({words}), as the model's input. "
                f"Received: shape={given[name].shape}. Load them with that size; of one alone, "
                "pass array[None]."
            )
    return batch
