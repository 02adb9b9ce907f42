"""Looks of other samples, which some views of the training samples are given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.progress import Progress

__all__ = ["Looks", "measure_looks"]

_BATCH = 32
_STREAM = 1  # beside the modality's own, which is `(seed, index, view)`


@dataclass(frozen=True, eq=False)
class Looks:
    """Looks that views may be given, and which of them are.

    Args:
        values: one row a look, as the modality measures it.
        share: of the views after the first that get one, each drawn by itself.

    Shapes: (looks, …).
    """

    values: np.ndarray
    share: float = 0.5

    @cached_property
    def digest(self) -> str:
        """A sha256 of them: views of other looks are other views."""
        words = f"{self.share}:{self.values.dtype}:{self.values.shape}"
        content = np.ascontiguousarray(self.values).tobytes()
        return hashlib.sha256(words.encode() + content).hexdigest()

    def give(self, split: SampleSplit, inputs: Arrays, views: Sequence[int], index: int) -> Arrays:
        """Returns views of one sample, some of them with a look of the others.

        What a view gets follows from the seed, the sample and the view's number alone. View 0 is
        the plain sample and stays it.

        Args:
            split: of the sample.
            inputs: as the modality read them; they may be changed in place.
            views: their numbers.
            index: of the sample in its split.

        Shapes: (views, …) for each input.
        """
        for row, view in enumerate(views):
            rng = np.random.default_rng((split.seed, index, view, _STREAM))
            if view == 0 or rng.random() >= self.share:
                continue
            look = self.values[rng.integers(len(self.values))]
            one = map_arrays(lambda x: x[row], inputs)  # noqa: B023  called at once
            given = split.modality.give_look(one, look, rng=rng)

            def put(target: np.ndarray, values: np.ndarray) -> np.ndarray:
                target[row] = values  # noqa: B023  called at once
                return target

            inputs = map_arrays(put, inputs, given)
        return inputs


def measure_looks(
    split: SampleSplit, *, share: float = 0.5, progress: Progress | None = None
) -> Looks:
    """Returns the looks of samples, read once each.

    Args:
        split: of a modality whose samples have looks.
        share: of the views that get one of them.
        progress: told of samples read.
    """
    found, done = [], 0
    for indices, inputs in split.iter_views(batch_size=_BATCH):
        found.append(split.modality.measure_looks(map_arrays(lambda x: x[:, 0], inputs)))
        done += len(indices)
        if progress is not None:
            progress(f"reading the style of {split.modality.plural}", done, len(split))
    return Looks(np.concatenate(found), share)
