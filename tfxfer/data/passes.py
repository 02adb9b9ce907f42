"""Passes over somebody's own batches, which always come to an end."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import DataError
from tfxfer.progress import Progress

__all__ = ["MOST_SAMPLES", "check_repeatable", "count_batches", "iter_batches", "unpack_batch"]

MOST_SAMPLES = 100_000
"""How many samples are read of what does not say how many it has, before it counts as endless."""

_INFINITE = -1  # what tf.data calls the cardinality of a dataset without an end
_PATIENCE_S = 30.0


def count_batches(dataset: Any, *, name: str) -> int | None:
    """Returns how many batches one pass has; None where nobody says.

    Args:
        dataset: a `tf.data.Dataset`, a `keras.utils.PyDataset`, or anything that yields batches.
        name: for messages.

    Raises:
        DataError: it says that it has no end.
    """
    if hasattr(dataset, "cardinality"):
        number = int(dataset.cardinality())
        if number == _INFINITE:
            raise DataError(
                f"{name} dataset: expected an end. Received: one that repeats for ever. "
                "Take .repeat() out, or add .take(n) with the batches of one pass."
            )
        return None if number < 0 else number
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):  # PyDataset's own `len` raises the latter
        return None


def check_repeatable(dataset: Any, *, name: str) -> None:
    """Refuses what can be read only once.

    Raises:
        DataError: it is such a thing, or nothing that yields batches.
    """
    if _is_indexed(dataset):
        return
    if isinstance(dataset, Iterator):
        raise DataError(
            f"{name} dataset: expected batches that can be read several times. Received: "
            f"{type(dataset).__name__}, which is used up by one pass. Give its function to "
            "tf.data.Dataset.from_generator."
        )
    _check_iterable(dataset, name)


def iter_batches(dataset: Any, *, name: str, progress: Progress | None = None) -> Iterator[Any]:
    """Yields the batches of one pass.

    Args:
        dataset: see `count_batches`.
        name: for messages.
        progress: told of batches read; of samples, where the number of batches is not known.

    Raises:
        DataError: it has no end, or says none and goes on after `MOST_SAMPLES`.
    """
    total = count_batches(dataset, name=name)
    what = f"reading the {name} dataset"
    if total is not None:
        batches = map(dataset.__getitem__, range(total)) if _is_indexed(dataset) else dataset
        for number, batch in enumerate(itertools.islice(batches, total), 1):
            yield batch
            if progress is not None:
                progress(what, number, total)
        return
    _check_iterable(dataset, name)
    started, told, samples = time.monotonic(), False, 0
    for batch in dataset:
        yield batch
        samples += len(batch[1])
        if samples > MOST_SAMPLES:
            raise DataError(
                f"{name} dataset: expected an end, or a number of batches where there are more "
                f"than {MOST_SAMPLES:,} samples. Received: neither. Add .take(n), or "
                ".apply(tf.data.experimental.assert_cardinality(n)) where it does end."
            )
        if progress is not None:
            progress(what, samples, MOST_SAMPLES)
        if not told and time.monotonic() - started > _PATIENCE_S:
            told = True
            warnings.warn(
                f"{name} dataset: {samples:,} samples in {_PATIENCE_S:.0f} s and no end yet; one "
                f"that repeats for ever is given up after {MOST_SAMPLES:,}. Add .take(n) to it",
                stacklevel=2,
            )


def unpack_batch(
    batch: Any, *, inputs: Mapping[str, tuple[int, ...]], name: str
) -> tuple[Arrays, np.ndarray, np.ndarray | None]:
    """Returns inputs, targets and weights of a batch.

    Args:
        batch: a tuple of two or three; its inputs are an array, or a dict by the inputs' names.
        inputs: shapes of one sample by the model's input names, in order.
        name: for messages.

    Shapes: (batch, …) each; the inputs are one array where the model has one, else a dict of them
        in the model's order.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise DataError(
            f"{name} dataset: expected batches of (inputs, targets) or "
            f"(inputs, targets, weights). Received: {type(batch).__name__}."
        )
    given = batch[0]
    names = list(inputs)
    several = isinstance(given, dict)
    if (several and set(given) != set(names)) or (not several and len(names) > 1):
        received = sorted(given) if several else type(given).__name__
        raise DataError(
            f"{name} dataset: expected a dict of inputs with the keys {names}. "
            f"Received: {received}."
        )
    found = {key: given[key] for key in names} if several else {names[0]: given}
    arrays = {key: np.asarray(values) for key, values in found.items()}
    for key, shape in inputs.items():
        if arrays[key].ndim != len(shape) + 1:
            words = ", ".join(["batch", *map(str, shape)])
            raise DataError(
                f"{name} dataset: expected {key} of shape ({words}); call .batch(32) on "
                f"a dataset of single samples. Received: shape={arrays[key].shape}."
            )
    weights = np.asarray(batch[2], np.float32) if len(batch) == 3 else None
    return arrays if len(names) > 1 else arrays[names[0]], np.asarray(batch[1]), weights


def _is_indexed(dataset: Any) -> bool:
    """Returns whether batches are fetched by number, as those of a `keras.utils.PyDataset` are."""
    return all(hasattr(dataset, x) for x in ("__getitem__", "__len__"))


def _check_iterable(dataset: Any, name: str) -> None:
    if not hasattr(dataset, "__iter__"):
        raise DataError(
            f"{name} dataset: expected batches of (inputs, targets), such as a tf.data.Dataset. "
            f"Received: {type(dataset).__name__}."
        )
