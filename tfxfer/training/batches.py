"""Batches for `fit`, in the order of an epoch's draw."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import list_arrays
from tfxfer.data.draw import EpochDraw

__all__ = ["make_batches"]


def make_batches(
    read: Any,
    draw: EpochDraw,
    targets: np.ndarray,
    *,
    sample_weights: np.ndarray | None = None,
    first_epoch: int = 0,
) -> Any:
    """Returns a `keras.utils.PyDataset` that `fit` takes under every backend.

    Its epoch is set by `start_epoch`, which a callback calls: Keras tells a PyDataset of the end of
    an epoch before the first one begins, too, so that counting those would skip draws.

    Args:
        read: maps (sample indices, view numbers) to a batch of inputs.
        draw: the order of every epoch.
        targets: (samples, outputs).
        sample_weights: (samples,), or None.
        first_epoch: number of the epoch whose draw it starts with.
    """

    class Batches(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(workers=1, max_queue_size=8)
            self.start_epoch(first_epoch)

        def __len__(self) -> int:
            return -(-len(self.order) // draw.batch_size)

        def __getitem__(self, index: int) -> tuple[Any, ...]:
            span = slice(index * draw.batch_size, (index + 1) * draw.batch_size)
            chosen = self.order[span]
            found = read(chosen, self.view[span])
            # The suffix's inputs have names of their own, but the same order. Not a list, which
            # tf.data takes for one tensor.
            inputs = tuple(list_arrays(found)) if isinstance(found, dict) else found
            batch = inputs, targets[chosen]
            return batch if sample_weights is None else (*batch, sample_weights[chosen])

        def start_epoch(self, number: int) -> None:
            self.order, self.view = draw.epoch(number)

    return Batches()
