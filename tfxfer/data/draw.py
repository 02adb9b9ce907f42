"""Which view of which sample an epoch sees when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.data.lengths import group_lengths

__all__ = ["EpochDraw"]


@dataclass(frozen=True)
class EpochDraw:
    """Which view of which sample comes when: a pure function of the seed and the epoch.

    Cached and uncached training draw alike, so that they see equal batches.

    Args:
        samples: how many there are.
        views: how many of each.
        batch_size: samples a step.
        seed: of the permutation and the views.
        oversampled: targets to balance by drawing rare classes more often, or None.
        shuffle: False keeps the order and takes view 0: validation.
        cycle: first epoch and number of epochs after which what was drawn is drawn again, in
            another order: what a cache holds lasts for a training of any length.
        lengths: of all samples, where they differ: batches then hold samples of like length.
    """

    samples: int
    views: int
    batch_size: int
    seed: int
    oversampled: np.ndarray | None = None
    shuffle: bool = True
    cycle: tuple[int, int] | None = None
    lengths: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Batches an epoch; the last one may be smaller."""
        return -(-self.samples // self.batch_size)

    def epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (sample indices, view numbers), each of shape (samples,)."""
        if not self.shuffle:
            return np.arange(self.samples), np.zeros(self.samples, np.int64)
        order, views = self._draw(number)
        if self.lengths is None:
            return order, views
        # A stream of its own: what is drawn does not depend on whether lengths are known.
        rng = np.random.default_rng([self.seed, number, 1])
        places = group_lengths(order, self.lengths, batch_size=self.batch_size, rng=rng)
        return order[places], views[places]

    def _draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        if self.cycle is not None and number >= sum(self.cycle):
            first, length = self.cycle
            order, views = self._draw(first + (number - first) % length)
            again = np.random.default_rng([self.seed, number]).permutation(len(order))
            return order[again], views[again]
        rng = np.random.default_rng([self.seed, number])
        if self.oversampled is None:
            order = rng.permutation(self.samples)
        else:
            from tfxfer.data.balance import oversampled_order

            order = oversampled_order(self.oversampled, rng)[: self.samples]
        return order, rng.integers(0, self.views, len(order))

    def uses(self, epochs: Sequence[int]) -> np.ndarray:
        """Returns which views these epochs draw: bool (samples, views)."""
        found = np.zeros((self.samples, self.views), bool)
        for number in epochs:
            found[self.epoch(number)] = True
        return found

    def digest(self, names: Sequence[str], epochs: int) -> str:
        """Returns the sha256 over the file and view lists of all batches of the first epochs."""
        sha = hashlib.sha256()
        for number in range(epochs):
            order, views = self.epoch(number)
            lines = (f"{names[i]}#{v}" for i, v in zip(order, views, strict=True))
            sha.update("\n".join(lines).encode())
        return sha.hexdigest()
