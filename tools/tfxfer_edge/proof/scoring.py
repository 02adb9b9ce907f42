"""Scores of candidate files on real samples, each read once where memory allows."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from tfxfer.data.arrays import Arrays, count_rows, map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.door import find_door

__all__ = ["Batches", "Scorer", "count_workers", "open_scorer", "score_batches"]

_BATCH_SAMPLES = 32
_KEPT_BYTES = 1 << 29  # of each `Batches`
_MOST_WORKERS = 8  # each holds the weights and tensors of its own


class Scorer(Protocol):
    """What runs a candidate file."""

    def score(self, samples: Arrays) -> np.ndarray:
        """Returns scores (samples, outputs); images are pixels 0..255 (images, size, size, 3)."""


class Batches:
    """The samples of a split as batches, again and again; kept where they fit into 512 MiB.

    Args:
        split: whose samples.
        views: of each sample, in succession: the plain one and varied ones.
        level: how far the others go, see `SampleSplit.iter_views`.
        options: of their augmentation.
    """

    def __init__(
        self, split: SampleSplit, *, views: int = 1, level: str = "none", options: Any = None
    ) -> None:
        self.split, self.views = split, views
        self._level, self._options = level, options
        needed = len(self) * sum(
            math.prod(spec.shape) * np.dtype(spec.stored).itemsize for spec in split.inputs.values()
        )
        self._kept: list[Arrays] | None = [] if needed <= _KEPT_BYTES else None
        self._is_full = False

    def __len__(self) -> int:
        return len(self.split) * self.views

    def __iter__(self) -> Iterator[Arrays]:
        if self._kept is not None and self._is_full:
            yield from self._kept
            return
        found = []
        batches = self.split.iter_views(
            batch_size=max(1, _BATCH_SAMPLES // self.views),
            views=tuple(range(self.views)),
            level=self._level,
            options=self._options,
        )
        for _, found_views in batches:
            batch = map_arrays(lambda x: x.reshape(-1, *x.shape[2:]), found_views)
            if self._kept is not None:
                found.append(batch)
            yield batch
        if self._kept is not None:
            self._kept, self._is_full = found, True


def open_scorer(converted: Converted, content: bytes) -> Scorer:
    """Returns what runs a file on all cores.

    Args:
        converted: what the file is.
        content: the file, with its metadata.
    """
    if converted.suffix == ".onnx":
        from tfxfer_edge.conversion.onnx import OnnxModel

        return OnnxModel(content, normalization=converted.normalization)
    # The metadata is not asked: what it says of a float input is checked by the parity.
    stated = converted.normalization if converted.input_dtype == "float32" else None
    door = find_door(converted.modality)
    return door.open_model(content, workers=count_workers(), preprocessing=stated)


def count_workers() -> int:
    """Returns how many samples are scored at once."""
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def score_batches(
    score: Callable[[Arrays], np.ndarray],
    batches: Batches,
    *,
    step: int = 1,
    tell: Callable[[int], None] = lambda samples: None,
) -> np.ndarray:
    """Returns the scores of every sample, or of every second one, and so on.

    Args:
        score: of the model.
        batches: of a split.
        step: from one sample to the next that is scored, counted from the first.
        tell: called with the number of samples of each batch done.

    Shapes: (samples · views, outputs).
    """
    parts, seen = [], 0
    for batch in batches:
        chosen = map_arrays(operator.itemgetter(slice(-seen % step, None, step)), batch)
        seen += count_rows(batch)
        if count_rows(chosen):
            parts.append(score(chosen))
            tell(count_rows(chosen))
    return np.concatenate(parts)
