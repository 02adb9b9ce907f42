"""What a phase trains on: samples in a fixed order, each in several views."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.looks import Looks
from tfxfer.data.samples import SampleSplit
from tfxfer.system.files import to_json

__all__ = ["SampleSource", "SplitSource"]


class SampleSource(Protocol):
    """Samples in a fixed order, each in several views.

    Attributes:
        targets: float32 (samples, outputs).
        sample_weights: float32 (samples,), or None for equal weights.
        can_seek: whether `read` can fetch any sample at any time.
        input_shapes: of one sample, for each of the model's inputs in order.
        itemsizes: bytes of one stored value, for each of them.
        lengths: of the samples, int64 (samples,), where they differ; else None.
        domains: of the samples, int64 (samples,), where as many are to be drawn of each; else None.
    """

    targets: np.ndarray
    sample_weights: np.ndarray | None
    can_seek: bool
    input_shapes: tuple[tuple[int, ...], ...]
    itemsizes: tuple[int, ...]
    lengths: np.ndarray | None
    domains: np.ndarray | None

    def __len__(self) -> int:
        """Returns the number of samples."""
        ...

    def digest_contents(self) -> str | None:
        """Returns what stands for all views of all samples in order; None where nobody knows."""
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
        looks: of other samples, which some of the views after the first get.
        sample_weights: one per sample; None are the samples' own, if they have any.
    """

    can_seek = True

    def __init__(
        self,
        split: SampleSplit,
        *,
        augment: str = "none",
        options: Mapping[str, Any] | None = None,
        looks: Looks | None = None,
        sample_weights: np.ndarray | None = None,
    ) -> None:
        self.split, self.augment, self.options, self.looks = split, augment, options, looks
        self._views: dict[str, Any] = {"level": augment, "options": options}
        if looks is not None:  # the conformance kit's own parts have none
            self._views["looks"] = looks
        # The conformance kit brings parts of its own.
        own: np.ndarray | None = getattr(split, "weights", None)
        self.targets = split.targets
        self.sample_weights = own if sample_weights is None else sample_weights
        self.lengths: np.ndarray | None = getattr(split, "lengths", None)
        self.domains: np.ndarray | None = getattr(split, "domains", None)
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

    def digest_contents(self) -> str | None:
        """Returns a sha256 of the samples' contents and of how each view of them is made."""
        split = self.split
        fingerprints = getattr(split, "fingerprints", ())
        if len(fingerprints) != len(split) or not all(fingerprints):
            return None  # of a modality that knows no hash of a sample
        words = {
            "samples": fingerprints,
            "modality": split.modality.name,
            "size": split.size,
            "contract": split.contract.to_dict(),
            "seed": split.seed,
            "augment": self.augment,
            "options": self.options,
        }
        if self.looks is not None:
            words["looks"] = self.looks.digest
        return hashlib.sha256(to_json(words, indent=None).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """Where each sample is, for messages."""
        return tuple(getattr(self.split, "paths", ()))

    def iter_views(
        self, views: Sequence[int], *, wanted: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Arrays]]:
        """Yields every sample of which a view is wanted once, read once."""
        numbers = np.asarray(views)
        order = None if wanted is None else np.flatnonzero(wanted.any(1))
        for indices, found in self.split.iter_views(
            batch_size=32, views=views, order=order, wanted=wanted, **self._views
        ):
            yield np.asarray(indices), numbers, found

    def read(self, indices: np.ndarray, views: np.ndarray) -> Arrays:
        """Reads one view of each sample."""
        parts, places = [], []
        for view in np.unique(views):
            chosen = np.flatnonzero(views == view)
            found = self.split.read_views(indices[chosen], views=(int(view),), **self._views)
            parts.append(map_arrays(lambda x, dtype: x[:, 0].astype(dtype), found, self._dtypes))
            places.append(chosen)
        back = np.argsort(np.concatenate(places), kind="stable")
        return map_arrays(lambda *arrays: np.concatenate(arrays)[back], *parts)
