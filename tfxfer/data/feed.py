"""What a phase trains on: samples in a fixed order, each in several views."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import DataError

__all__ = ["DatasetSource", "SampleSource", "SplitSource"]


class SampleSource(Protocol):
    """Samples in a fixed order, each in several views.

    Attributes:
        targets: float32 (samples, outputs).
        sample_weights: float32 (samples,), or None for equal weights.
        can_seek: whether `read` can fetch any sample at any time.
        input_shapes: of one sample, for each of the model's inputs in order.
        itemsizes: bytes of one stored value, for each of them.
    """

    targets: np.ndarray
    sample_weights: np.ndarray | None
    can_seek: bool
    input_shapes: tuple[tuple[int, ...], ...]
    itemsizes: tuple[int, ...]

    def __len__(self) -> int:
        """Returns the number of samples."""
        ...

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields (sample indices (n,), view numbers (v,), inputs (n, v, …)).

        Args:
            views: numbers.
            wanted: bool (samples, views); what is not wanted may be anything, or missing.
        """
        ...

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """Returns one view of each sample: (n, …) of the dtypes that the model takes."""
        ...


class SplitSource:
    """The samples of a `SampleSplit`.

    Args:
        split: samples with their targets.
        augment: level of augmentation of the views after the first.
        options: of the augmentation.
        sample_weights: one per sample, or None.
    """

    can_seek = True

    def __init__(
        self,
        split: SampleSplit,
        *,
        augment: str = "none",
        options: Mapping[str, Any] | None = None,
        sample_weights: np.ndarray | None = None,
    ) -> None:
        self.split, self.augment, self.options = split, augment, options
        self.targets, self.sample_weights = split.targets, sample_weights
        specs = split.inputs
        self.input_shapes: tuple[tuple[int, ...], ...] = tuple(x.shape for x in specs.values())
        self.itemsizes: tuple[int, ...] = tuple(
            np.dtype(spec.stored).itemsize for spec in specs.values()
        )
        self._dtypes: Any = {name: np.dtype(spec.dtype) for name, spec in specs.items()}
        if len(specs) == 1:
            (self._dtypes,) = self._dtypes.values()

    def __len__(self) -> int:
        return len(self.split)

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields every sample of which a view is wanted once, read once."""
        numbers = np.asarray(views)
        order = None if wanted is None else np.flatnonzero(wanted.any(1))
        for indices, found in self.split.iter_views(
            batch_size=32,
            views=views,
            level=self.augment,
            options=self.options,
            order=order,
            wanted=wanted,
        ):
            yield np.asarray(indices), numbers, found

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """Reads one view of each sample."""
        parts, places = [], []
        for view in np.unique(views):
            chosen = np.flatnonzero(views == view)
            found = self.split.read_views(
                indices[chosen], views=(int(view),), level=self.augment, options=self.options
            )
            parts.append(map_arrays(lambda x, dtype: x[:, 0].astype(dtype), found, self._dtypes))
            places.append(chosen)
        back = np.argsort(np.concatenate(places), kind="stable")
        return map_arrays(lambda *arrays: np.concatenate(arrays)[back], *parts)


class DatasetSource:
    """Somebody's `tf.data.Dataset` of (inputs, targets) or (inputs, targets, weights).

    Every view is one pass over the dataset, so augmentation inside it gives different views. The
    dataset must yield its samples in the same order on each pass: shuffling is done here.

    Args:
        dataset: batched; its inputs are a tensor, or a dict of them by the model's input names.
        inputs: shapes of one sample by the model's input names, in order.
        name: for messages.

    Raises:
        DataError: not batched pairs, inputs of other ranks, or no samples.
    """

    can_seek = False

    def __init__(
        self, dataset: Any, *, inputs: Mapping[str, tuple[int, ...]], name: str = "training"
    ) -> None:
        self._dataset, self._name, self._inputs = dataset, name, dict(inputs)
        # -1 is what tf.data calls infinite.
        if hasattr(dataset, "cardinality") and int(dataset.cardinality()) == -1:
            raise DataError(
                f"{name} dataset: expected an end. Received: one that repeats for ever. "
                "Take .repeat() out; the schedule says how many epochs there are."
            )
        targets, weights, shapes, self._digests = [], [], set(), []
        self.itemsizes: tuple[int, ...] = ()
        for element in dataset:
            found, target, weight = self._unpack(element)
            arrays = list(found.values()) if isinstance(found, dict) else [found]
            shapes.add(tuple(tuple(int(side) for side in x.shape[1:]) for x in arrays))
            self.itemsizes = tuple(np.dtype(_dtype_name(x)).itemsize for x in arrays)
            targets.append(np.asarray(target))
            self._digests.append(hashlib.sha256(np.asarray(target).tobytes()).digest())
            if weight is not None:
                weights.append(np.asarray(weight, np.float32))
        if not targets:
            raise DataError(f"{name} dataset: expected batches of samples. Received: none.")
        if len(shapes) > 1:
            raise DataError(
                f"{name} dataset: expected samples of one size. Received: {sorted(shapes)}. "
                "Resize them in .map()."
            )
        self.input_shapes: tuple[tuple[int, ...], ...] = shapes.pop()
        self.targets = np.concatenate(targets)
        self.sample_weights = np.concatenate(weights) if weights else None

    def __len__(self) -> int:
        return len(self.targets)

    def _unpack(self, element: Any) -> tuple[Any, Any, Any]:
        if not isinstance(element, tuple) or len(element) not in (2, 3):
            raise DataError(
                f"{self._name} dataset: expected batches of (inputs, targets) or "
                f"(inputs, targets, weights). Received: {type(element).__name__}."
            )
        given = element[0]
        names = list(self._inputs)
        several = isinstance(given, dict)
        if (several and set(given) != set(names)) or (not several and len(names) > 1):
            received = sorted(given) if several else type(given).__name__
            raise DataError(
                f"{self._name} dataset: expected a dict of inputs with the keys {names}. "
                f"Received: {received}."
            )
        found = {name: given[name] for name in names} if several else {names[0]: given}
        for name, shape in self._inputs.items():
            if len(found[name].shape) != len(shape) + 1:
                words = ", ".join(["batch", *map(str, shape)])
                raise DataError(
                    f"{self._name} dataset: expected {name} of shape ({words}); call .batch(32) on "
                    f"a dataset of single samples. Received: shape={found[name].shape}."
                )
        values = found if len(names) > 1 else found[names[0]]
        return values, element[1], element[2] if len(element) == 3 else None

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields every batch of a pass for each view, whatever is wanted of it."""
        for view in views:
            start = number = 0
            for number, element in enumerate(self._dataset, 1):
                found, target, _ = self._unpack(element)
                digest = hashlib.sha256(np.asarray(target).tobytes()).digest()
                if number > len(self._digests) or digest != self._digests[number - 1]:
                    raise DataError(
                        f"{self._name} dataset: expected the same order on every pass, since its "
                        "activations are cached. Take .shuffle() out, or pass "
                        "reshuffle_each_iteration=False; tfxfer shuffles."
                    )
                indices = np.arange(start, start + len(target))
                start += len(target)
                yield indices, np.array([view]), map_arrays(lambda x: np.asarray(x)[:, None], found)
            if number != len(self._digests):
                raise DataError(
                    f"{self._name} dataset: expected {len(self._digests)} batches on every pass. "
                    f"Received: {number} on a later one. A generator that is used up needs a "
                    "function that makes a new one."
                )

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """A dataset has no random access."""
        raise DataError(f"{self._name} dataset: cannot fetch single samples of a tf.data.Dataset.")


def _dtype_name(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))
