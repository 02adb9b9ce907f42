"""A user's own samples as what a phase trains on: a dataset of batches, or plain arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, list_arrays, map_arrays
from tfxfer.data.passes import check_repeatable, iter_batches, unpack_batch
from tfxfer.data.trimming import fill_up
from tfxfer.errors import DataError
from tfxfer.progress import Progress
from tfxfer.sample import InputSpec

__all__ = ["LOOKED_AT", "ArraySource", "DatasetSource", "is_array", "is_array_pair"]

LOOKED_AT = 32
"""Samples whose values are looked at together: a single black photo has no range."""

_ROWS = 32  # that an array is read by

Check: TypeAlias = Callable[[Arrays], None]
"""Refuses the inputs of some samples."""


def is_array(value: Any) -> bool:
    """Returns whether a value is an array or a tensor, or a dict of them by input name."""
    if isinstance(value, dict):
        return bool(value) and all(map(is_array, value.values()))
    return hasattr(value, "shape") and hasattr(value, "dtype")


def is_array_pair(value: Any) -> bool:
    """Returns whether a value is `(inputs, targets)` or `(inputs, targets, weights)`, of arrays."""
    return isinstance(value, tuple) and len(value) in (2, 3) and is_array(value[0])


class DatasetSource:
    """Somebody's batches of (inputs, targets) or (inputs, targets, weights).

    They come from a `tf.data.Dataset`, a `keras.utils.PyDataset`, or anything that yields them
    again on each pass. Every view is one pass, so augmentation inside gives different views. What
    is cached must come in the same order on each pass: shuffling is done here.

    Args:
        dataset: of batches; the inputs are a tensor, or a dict of them by the model's input names.
        inputs: shapes of one sample by the model's input names, in order.
        specs: of the same; padded ones that a batch has less of are filled up again.
        name: for messages.
        check: gets the inputs of the first samples.
        progress: told of what is read in the first pass, which finds the targets.

    Attributes:
        targets: as the dataset has them.
        batches: in a pass.
        lengths: None; nobody measures them.

    Raises:
        DataError: not such batches, inputs of other ranks, no samples, or no end of them.
    """

    can_seek = False
    lengths: np.ndarray | None = None
    domains: np.ndarray | None = None

    def __init__(
        self,
        dataset: Any,
        *,
        inputs: Mapping[str, tuple[int, ...]],
        specs: Mapping[str, InputSpec] | None = None,
        name: str = "training",
        check: Check | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._dataset, self._name, self._inputs = dataset, name, dict(inputs)
        self._specs = dict(specs or {})
        check_repeatable(dataset, name=name)
        targets: list[np.ndarray] = []
        weights: list[np.ndarray] = []
        shapes: set[tuple[tuple[int, ...], ...]] = set()
        self._digests: list[bytes] = []
        self.itemsizes: tuple[int, ...] = ()
        first: list[Arrays] = []
        looked_at = 0
        for found, target, weight in self.iter_pass(progress=progress):
            arrays = list_arrays(found)
            shapes.add(tuple(x.shape[1:] for x in arrays))
            self.itemsizes = tuple(x.dtype.itemsize for x in arrays)
            if not targets:
                self._first = _hash_arrays(arrays)
            if check is not None and looked_at < LOOKED_AT and len(shapes) == 1:
                first.append(found)
                looked_at += len(target)
                if looked_at >= LOOKED_AT:
                    check(map_arrays(lambda *parts: np.concatenate(parts), *first))
            targets.append(target)
            self._digests.append(_hash_arrays([target]))
            if weight is not None:
                weights.append(weight)
        if not targets:
            raise DataError(f"{name} dataset: expected batches of samples. Received: none.")
        if len(shapes) > 1:
            raise DataError(
                f"{name} dataset: expected samples of one size. Received: {sorted(shapes)}. "
                "Resize them in .map()."
            )
        if check is not None and looked_at < LOOKED_AT:
            check(map_arrays(lambda *parts: np.concatenate(parts), *first))
        self.input_shapes: tuple[tuple[int, ...], ...] = shapes.pop()
        self.targets = np.concatenate(targets)
        self.sample_weights = np.concatenate(weights) if weights else None
        self.batches = len(targets)

    def __len__(self) -> int:
        return len(self.targets)

    def digest_contents(self) -> None:
        """Returns None: only its targets, and its first batch, are known to come again."""
        return

    def iter_pass(
        self, *, progress: Progress | None = None
    ) -> Iterator[tuple[Arrays, np.ndarray, np.ndarray | None]]:
        """Yields inputs, targets as the dataset has them, and weights of every batch of a pass."""
        for batch in iter_batches(self._dataset, name=self._name, progress=progress):
            found, targets, weights = unpack_batch(batch, inputs=self._inputs, name=self._name)
            yield (fill_up(found, self._specs) if self._specs else found), targets, weights

    def is_random(self) -> bool:
        """Returns whether the first batch has other inputs on a second pass.

        Raises:
            DataError: it has other targets, so that the order differs.
        """
        found, target, _ = next(self.iter_pass())
        self._check_order(0, target)
        return _hash_arrays(list_arrays(found)) != self._first

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields every batch of a pass for each view, whatever is wanted of it.

        Raises:
            DataError: the passes differ in their order or their length.
        """
        for view in views:
            start = number = 0
            for found, target, _ in self.iter_pass():
                self._check_order(number, target)
                number += 1
                indices = np.arange(start, start + len(target))
                start += len(target)
                yield indices, np.array([view]), map_arrays(lambda x: x[:, None], found)
            if number != self.batches:
                raise self.describe_length(str(number))

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """A dataset has no random access."""
        raise DataError(f"{self._name} dataset: cannot fetch single samples of a dataset.")

    def describe_length(self, received: str) -> DataError:
        """Returns the error of a pass that is longer or shorter than the first one."""
        return DataError(
            f"{self._name} dataset: expected {self.batches} batches on every pass. "
            f"Received: {received} on a later one. A generator that is used up needs a "
            "function that makes a new one."
        )

    def _check_order(self, number: int, target: np.ndarray) -> None:
        if number >= len(self._digests) or _hash_arrays([target]) != self._digests[number]:
            raise DataError(
                f"{self._name} dataset: expected the same order on every pass, since its "
                "activations are cached. Take .shuffle() out, or pass "
                "reshuffle_each_iteration=False; tfxfer shuffles. Or train uncached, cache=False."
            )


class ArraySource:
    """Somebody's arrays of inputs and targets.

    Args:
        arrays: (inputs, targets) or (inputs, targets, weights); the inputs are one array, or a
            dict of them by the model's input names.
        inputs: shapes of one sample by the model's input names, in order.
        dtypes: of the model's inputs, by name.
        name: for messages.
        check: gets all inputs.

    Raises:
        DataError: other inputs, or not as many of one as of another.
    """

    can_seek = True
    lengths: np.ndarray | None = None
    domains: np.ndarray | None = None

    def __init__(
        self,
        arrays: tuple[Any, ...],
        *,
        inputs: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, str],
        name: str = "training",
        check: Check | None = None,
    ) -> None:
        found, self.targets, self.sample_weights = unpack_batch(arrays, inputs=inputs, name=name)
        # NumPy's own numbers are twice as wide as what any network computes with.
        self._inputs = map_arrays(
            lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, found
        )
        self._dtypes: Any = {key: np.dtype(dtypes[key]) for key in inputs}
        if not isinstance(self._inputs, dict):
            (self._dtypes,) = self._dtypes.values()
        columns = [*list_arrays(self._inputs), self.targets]
        if self.sample_weights is not None:
            columns.append(self.sample_weights)
        counts = [len(column) if column.ndim else 0 for column in columns]
        if len(set(counts)) > 1:
            raise DataError(
                f"{name} arrays: expected as many targets as samples. Received: "
                f"{', '.join(map(str, counts))}."
            )
        self.input_shapes: tuple[tuple[int, ...], ...] = tuple(
            x.shape[1:] for x in list_arrays(self._inputs)
        )
        self.itemsizes: tuple[int, ...] = tuple(x.dtype.itemsize for x in list_arrays(self._inputs))
        if check is not None:
            check(self._inputs)

    def __len__(self) -> int:
        return count_rows(self._inputs)

    def digest_contents(self) -> str:
        """Returns the sha256 of the inputs."""
        return _hash_arrays(list_arrays(self._inputs)).hex()

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields the samples of which a view is wanted; all views are alike."""
        numbers = np.asarray(views)
        order = np.arange(len(self)) if wanted is None else np.flatnonzero(wanted.any(1))
        for start in range(0, len(order), _ROWS):
            indices = order[start : start + _ROWS]
            yield (
                indices,
                numbers,
                map_arrays(
                    lambda x: np.repeat(x[indices][:, None], len(numbers), axis=1),  # noqa: B023
                    self._inputs,
                ),
            )

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """Returns some samples, of the dtypes that the model takes."""
        return map_arrays(
            lambda x, dtype: x[indices].astype(dtype, copy=False), self._inputs, self._dtypes
        )


def _hash_arrays(arrays: Sequence[np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
