"""Scores of candidate files on real images, each image read once where memory allows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from tfxfer.data.samples import SampleSplit
from tfxfer_edge.conversion.converted import Converted
from tfxfer_edge.tflite.interpreter import TFLiteModel

__all__ = ["Pixels", "Scorer", "count_workers", "open_scorer", "score_pixels"]

_BATCH_IMAGES = 32
_KEPT_BYTES = 1 << 29  # of each `Pixels`
_MOST_WORKERS = 8  # each holds the weights and tensors of its own


class Scorer(Protocol):
    """What runs a candidate file."""

    def score(self, pixels: np.ndarray) -> np.ndarray:
        """Returns scores (images, outputs) of pixels 0..255 (images, size, size, 3)."""


class Pixels:
    """The images of a split as batches, again and again; kept where they fit into 512 MiB.

    Args:
        split: whose images.
        views: of each image, in succession: the plain one and varied ones.
        level: how far the others go, see `SampleSplit.iter_views`.
        options: of their augmentation.
    """

    def __init__(
        self, split: SampleSplit, *, views: int = 1, level: str = "none", options: Any = None
    ) -> None:
        self.split, self.views = split, views
        self._level, self._options = level, options
        needed = len(self) * split.size**2 * 3
        self._kept: list[np.ndarray] | None = [] if needed <= _KEPT_BYTES else None
        self._is_full = False

    def __len__(self) -> int:
        return len(self.split) * self.views

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._kept is not None and self._is_full:
            yield from self._kept
            return
        found = []
        batches = self.split.iter_views(
            batch_size=max(1, _BATCH_IMAGES // self.views),
            views=tuple(range(self.views)),
            level=self._level,
            options=self._options,
        )
        for _, found_views in batches:
            views = np.asarray(found_views)
            batch = views.reshape(-1, *views.shape[2:])
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
    return TFLiteModel(content, workers=count_workers(), preprocessing=stated)


def count_workers() -> int:
    """Returns how many images are scored at once."""
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def score_pixels(
    score: Callable[[np.ndarray], np.ndarray],
    pixels: Pixels,
    *,
    step: int = 1,
    tell: Callable[[int], None] = lambda images: None,
) -> np.ndarray:
    """Returns the scores of every image, or of every second one, and so on.

    Args:
        score: of the model.
        pixels: of a split.
        step: from one image to the next that is scored, counted from the first.
        tell: called with the number of images of each batch done.

    Shapes: (images · views, outputs).
    """
    parts, seen = [], 0
    for batch in pixels:
        chosen = batch[-seen % step :: step]
        seen += len(batch)
        if len(chosen):
            parts.append(score(chosen))
            tell(len(chosen))
    return np.concatenate(parts)
