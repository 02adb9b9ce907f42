"""Batches for `fit`, in the order of an epoch's draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfxfer.data.arrays import Arrays, list_arrays
from tfxfer.data.datasets import DatasetSource
from tfxfer.data.draw import EpochDraw
from tfxfer.data.trimming import Trimming
from tfxfer.errors import TfxferError

if TYPE_CHECKING:
    from tfxfer.training.companion import CompanionDraw

__all__ = ["Change", "accompany_batches", "make_batches", "stream_batches"]

Change = Callable[[Arrays, int, int], Arrays]
"""Maps the inputs of a batch, the number of its epoch and its own to those that are learnt from."""


class _Batches(keras.utils.PyDataset):
    """Batches that remember why one of them could not be made.

    Keras reads them inside of TensorFlow, which makes an error of its own of every other.
    """

    failure: TfxferError | None = None

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        try:
            return self.make(index)
        except TfxferError as error:
            self.failure = error
            raise

    def make(self, index: int) -> tuple[Any, ...]:
        """Returns a batch by its number."""
        raise NotImplementedError

    def start_epoch(self, number: int) -> None:
        """Is told which epoch comes next."""


def make_batches(
    read: Any,
    draw: EpochDraw,
    targets: np.ndarray,
    *,
    sample_weights: np.ndarray | None = None,
    first_epoch: int = 0,
    trimming: Trimming | None = None,
    change: Change | None = None,
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
        trimming: how batches are cut to what their samples use; None where all are of one shape.
        change: what is made of a batch's inputs; None leaves them as they are read.
    """

    class Batches(_Batches):
        def __init__(self) -> None:
            super().__init__(workers=1, max_queue_size=8)
            self.start_epoch(first_epoch)
            self._is_reading = False

        def on_epoch_begin(self) -> None:
            self._is_reading = True

        def on_epoch_end(self) -> None:
            self._is_reading = False

        def __len__(self) -> int:
            return -(-len(self.order) // draw.batch_size)

        def make(self, index: int) -> tuple[Any, ...]:
            span = slice(index * draw.batch_size, (index + 1) * draw.batch_size)
            chosen = self.order[span]
            found = read(chosen, self.view[span])
            if change is not None:
                found = change(found, self.epoch, index)
            # The suffix's inputs have names of their own, but the same order. Not a list, which
            # tf.data takes for one tensor.
            if trimming is not None and len(self) == 1:
                found = _stretch(found, trimming, 0)
            elif trimming is not None and not self._is_reading:
                found = _stretch(found, trimming, index + 1)
            batch = _order_inputs(found), targets[chosen]
            return batch if sample_weights is None else (*batch, sample_weights[chosen])

        def start_epoch(self, number: int) -> None:
            self.epoch = number
            self.order, self.view = draw.epoch(number)

    return Batches()


def _order_inputs(arrays: Arrays) -> Any:
    return tuple(list_arrays(arrays)) if isinstance(arrays, dict) else arrays


def _stretch(arrays: Arrays, trimming: Trimming, more: int) -> Arrays:
    """Returns a batch of a length that no other has, for Keras to look at before an epoch begins.

    Keras takes the sides in which the first two batches differ for those that may, and refuses any
    other batch that does: two of one length would settle it for all. Where there is but one batch,
    it has the same length in every epoch.

    Args:
        arrays: of the batch.
        trimming: which of them are padded.
        more: how much longer than the longest sample it gets.
    """
    longer = trimming.longest + more

    def stretch(values: np.ndarray) -> np.ndarray:
        sides = [(0, 0), (0, longer - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
        return np.pad(values, sides)

    if not isinstance(arrays, dict):
        return stretch(arrays)
    return {
        name: stretch(values) if name in trimming.padded else values
        for name, values in arrays.items()
    }


def accompany_batches(
    train: Any,
    read: Any,
    draw: CompanionDraw,
    targets: np.ndarray,
    weights: np.ndarray | None,
    *,
    progress: Callable[[int, float], float],
    first_epoch: int = 0,
) -> Any:
    """Returns batches of a training with companions in each, as `companion.accompany` takes them.

    Args:
        train: what `make_batches` or `stream_batches` returned.
        read: maps (indices, view numbers) of companions to a batch of inputs.
        draw: which of them come when.
        targets: of the companions, (companions, outputs).
        weights: how much each counts, (companions,); None is 1.
        progress: maps an epoch and the number of a batch to the share of the training that is over.
        first_epoch: number of the epoch whose draw it starts with.
    """
    counted = np.ones(len(targets), np.float32) if weights is None else weights

    class Accompanied(_Batches):
        def __init__(self) -> None:
            super().__init__(workers=1, max_queue_size=8)
            self.start_epoch(first_epoch)

        def on_epoch_begin(self) -> None:
            train.on_epoch_begin()

        def on_epoch_end(self) -> None:
            train.on_epoch_end()

        def __len__(self) -> int:
            return len(train)

        def make(self, index: int) -> tuple[Any, ...]:
            inputs, *others = train.make(index)
            span = slice(index * draw.size, (index + 1) * draw.size)
            chosen = self.order[span]
            # Keras counts a batch by the first of its arrays, in the order of these names.
            beside = {
                "inputs": inputs,
                "other": _order_inputs(read(chosen, self.view[span])),
                "progress": np.array([progress(self.number, index)], np.float32),
                "targets": targets[chosen],
                "weights": counted[chosen],
            }
            return beside, *others

        def start_epoch(self, number: int) -> None:
            train.start_epoch(number)
            self.number = number
            self.order, self.view = draw.epoch(number)

    return Accompanied()


def stream_batches(
    source: DatasetSource,
    *,
    dtypes: Sequence[str],
    encode: Callable[[np.ndarray], np.ndarray],
    weigh: Callable[[np.ndarray, np.ndarray | None], np.ndarray | None],
) -> Any:
    """Returns a user's own batches, in the order that they come in, for `fit`.

    Each epoch is one pass: what the dataset shuffles or augments it does again.

    Args:
        source: of the batches.
        dtypes: of the model's inputs.
        encode: maps targets as the dataset has them to what the loss takes.
        weigh: maps those targets and the dataset's own weights to what each sample counts.

    Raises:
        DataError: while it is read, when a pass is longer or shorter than the first one.
    """

    class Stream(_Batches):
        def __init__(self) -> None:
            super().__init__(workers=1)
            self._pass: Iterator[Any] = iter(())
            self._place = 0

        def __len__(self) -> int:
            return source.batches

        def make(self, index: int) -> tuple[Any, ...]:
            # Keras looks at the first batches before it reads them from the start.
            if index == 0:
                self._pass, self._place = source.iter_pass(), 0
            assert index == self._place, "one worker reads batches in their order"
            self._place += 1
            batch = next(self._pass, None)
            if batch is None:
                raise source.describe_length(str(index))
            if self._place == source.batches and next(self._pass, None) is not None:
                raise source.describe_length("more")
            found, targets, own = batch
            inputs = tuple(
                values.astype(dtype, copy=False)
                for values, dtype in zip(list_arrays(found), dtypes, strict=True)
            )
            weights = weigh(targets, own)
            made = inputs if isinstance(found, dict) else inputs[0], encode(targets)
            return made if weights is None else (*made, weights)

    return Stream()
