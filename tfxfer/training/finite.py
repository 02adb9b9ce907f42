"""A loss that is NaN or infinite: noticed in its batch, and told with the samples of that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import list_arrays
from tfxfer.errors import ModelError
from tfxfer.schedule import FitState

__all__ = [
    "FiniteLoss",
    "LossFault",
    "NotFiniteError",
    "advise_slower",
    "describe_samples",
    "find_bad_rows",
    "make_error",
]

_MOST_NAMES = 8


@dataclass(frozen=True)
class LossFault:
    """Where a loss was first seen not to be finite.

    Args:
        part: `train` or `val`.
        epoch: counted from 0 through all phases.
        first: number of the first batch that it may be of, counted from 0 in its epoch.
        last: number of the last one.
        loss: what it was: the mean of its epoch so far.
    """

    part: str
    epoch: int
    first: int
    last: int
    loss: float


class NotFiniteError(ModelError):
    """The loss is NaN or infinite; the model holds the weights of its best epoch.

    Args:
        message: for whoever trained.
        what: what happened, and where, without the remedy.
        advice: what to do about it.
        phase: name of the phase.
        epoch: counted from 0 through all phases.
        logs: of the phase's epochs before that one, a list per key.
    """

    def __init__(
        self,
        message: str,
        *,
        what: str = "",
        advice: str = "",
        phase: str = "",
        epoch: int = 0,
        logs: Mapping[str, list[float]] | None = None,
    ) -> None:
        super().__init__(message, what=what)
        self.advice, self.phase, self.epoch = advice, phase, epoch
        self.logs = dict(logs or {})
        self.state = FitState()
        """How far the training came; without a record where no epoch has a finite loss."""


class FiniteLoss(keras.callbacks.Callback):
    """Stops a training at the first batch whose loss is not finite.

    A batch is looked at when the next one is done: its loss has been computed by then, so that an
    accelerator is not waited for. In `fit` it stands behind whatever reads `stop_training`.

    Attributes:
        fault: the first one; None while every loss is finite.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault: LossFault | None = None
        self._epoch = 0
        self._waiting: tuple[str, int, int, Any] | None = None
        self._next = {"train": 0, "val": 0}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begins to count batches anew."""
        self._epoch, self._next["train"] = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the batch before this one."""
        self._follow("train", batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Looks at the last batch of the training."""
        self._judge()
        self._next["val"] = 0

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the batch before this one."""
        self._follow("val", batch, logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Looks at the last batch of the validation."""
        self._judge()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks at the last batch of an epoch without validation."""
        self._judge()

    def _follow(self, part: str, batch: int, logs: Any) -> None:
        self._judge()
        if logs and "loss" in logs:
            # A step of several batches is told by the last of them.
            self._waiting = (part, self._next[part], batch, logs["loss"])
        self._next[part] = batch + 1

    def _judge(self) -> None:
        if self._waiting is None:
            return
        (part, first, last, value), self._waiting = self._waiting, None
        loss = float(value)
        if self.fault is None and not math.isfinite(loss):
            self.fault = LossFault(part, self._epoch, first, last, loss)
            self.model.stop_training = True


def describe_samples(source: Any, indices: np.ndarray | None, bad: Sequence[int] = ()) -> str:
    """Returns which samples a batch is of, in words; empty where nobody knows.

    Args:
        source: they are of; one whose samples are files has their `names`.
        indices: of the samples, in the order of the batch; None where the source is a stream.
        bad: rows of the batch that hold NaN or infinity themselves.
    """
    if indices is None or not len(indices):
        return ""
    names = getattr(source, "names", ())
    told = [names[i] if names else f"sample {i}" for i in indices.tolist()]
    at_fault = [told[row] for row in bad]
    words = f", on {_join(told)}"
    return f"{words}; NaN or infinity is in {_join(at_fault)}" if at_fault else words


def find_bad_rows(batch: tuple[Any, ...]) -> list[int]:
    """Returns the rows of a batch with a value that is not finite, in its inputs or its targets.

    Args:
        batch: inputs, targets and perhaps weights.
    """
    arrays = [array for item in batch for array in _list(item)]
    floats = [array for array in arrays if array.dtype.kind == "f"]
    bad = [~np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in floats]
    return np.flatnonzero(np.any(bad, axis=0)).tolist() if bad else []


def advise_slower(rate: float) -> str:
    """Returns the remedy against a learning rate that is too high, the same wherever it is given.

    Args:
        rate: of the epoch that went wrong: what a schedule, a clock or a callback made of the
            phase's own.

    Example:
        >>> advise_slower(0.00025)
        'lower the learning rate, 0.00025 now'
    """
    return f"lower the learning rate, {rate:.3g} now"


def make_error(
    fault: LossFault,
    *,
    phase: str,
    rate: float,
    steps: int,
    samples: str,
    kept: int | None,
    logs: dict[str, list[float]],
) -> NotFiniteError:
    """Returns the error of a loss that is not finite.

    Args:
        fault: where it was seen.
        phase: name of the phase.
        rate: learning rate of that epoch, at its end.
        steps: batches of an epoch of the part that it was seen in.
        samples: see `describe_samples`.
        kept: the epoch whose weights remain; None where none had a finite loss.
        logs: of the phase's epochs before it.
    """
    numbers = f"batch {fault.first + 1}"
    if fault.last > fault.first:
        numbers = f"batches {fault.first + 1} to {fault.last + 1}"
    place = " of validation" if fault.part == "val" else ""
    what = f"the loss is {fault.loss:g} in {numbers} of {steps:,}{place}{samples}"
    advice = f"{advise_slower(rate)}, or check these samples and their targets"
    left = "no epoch before it had a finite loss"
    if kept is not None:
        left = f"epoch {kept + 1}, the best so far, is what remains"
    message = (
        f"phase {phase!r}, epoch {fault.epoch + 1}: expected a finite loss. Received: {what}; "
        f"{left}. {advice[:1].upper()}{advice[1:]}."
    )
    return NotFiniteError(
        message, what=what, advice=advice, phase=phase, epoch=fault.epoch, logs=logs
    )


def _join(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _list(item: Any) -> list[np.ndarray]:
    parts = item if isinstance(item, tuple) else (item,)
    return [np.asarray(array) for part in parts for array in list_arrays(part)]
