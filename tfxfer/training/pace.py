"""A phase that ends with its budget: as many epochs as fit, and a rate that has fallen by then."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.errors import RunError
from tfxfer.schedule import Phase
from tfxfer.system.records import read_record

__all__ = ["FALLEN_RATE", "Pace", "rate_factor"]

FALLEN_RATE = 0.01
"""Share of its peak below which a rate counts as fallen: the steps that are left move nothing."""


def rate_factor(phase: Phase, progress: float) -> float:
    """Returns the share of its peak that a phase's rate has at a point of it.

    Args:
        phase: with its warm-up and decay.
        progress: 0 at its first step, 1 after its last.

    Example:
        >>> phase = Phase("p", None, 1, 1.0, warmup=0.5)
        >>> [rate_factor(phase, at) for at in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 0.5, 1.0, 0.0]
    """
    if phase.decay != "cosine":
        return 1.0
    if progress < phase.warmup:
        return progress / phase.warmup
    gone = (progress - phase.warmup) / (1 - phase.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, gone)))


@dataclass(frozen=True)
class _State:
    """Epochs of the phase, steps that are over, how far the rate has come, peaks of the rates."""

    total: int
    step: int
    progress: float
    peaks: tuple[float, ...]


class Pace(keras.callbacks.Callback):
    """Ends each phase in time, and has its learning rate fall to 0 by then.

    How long an epoch takes is known once the first has run. From then on the epochs are as many as
    still fit, at most `Phase.longest`, and the rate goes on from where it is along the same curve,
    faster or slower. An epoch that is cut short in the middle, since the time is over, is validated
    like any other: it may still be the best.

    `reached` says that the time is over, `cut` that it was before the rate had fallen: a phase that
    had fewer epochs than planned, at a rate that fell in time, was shortened and is whole.

    Args:
        end: `time.monotonic()` at which training must be over; None never ends anything, and leaves
            the rates to the optimizer's own schedule.

    Source:
        Rates that fall with the budget rather than with a number of epochs: Li et al. 2020,
        Budgeted Training.
    """

    def __init__(self, end: float | None) -> None:
        super().__init__()
        self.end, self.reached, self.cut = end, False, False
        self._phase = Phase("", None, 1, 1.0)
        self._sets_rate = False
        self._steps = self._first = self._total = self._step = 0
        self._progress, self._peaks = 0.0, list[float]()
        self._laps, self._test_laps = list[float](), list[float]()
        self._earlier = 0  # epochs of the phase that an earlier process ran
        self._lap_started = self._epoch_started = 0.0

    def start_phase(self, phase: Phase, *, steps: int, first_epoch: int, sets_rate: bool) -> None:
        """Begins anew.

        Args:
            phase: that is about to run.
            steps: batches of an epoch.
            first_epoch: its number through all phases.
            sets_rate: whether the optimizer's rate is this callback's to set.
        """
        self._phase, self._steps, self._first = phase, steps, first_epoch
        self._sets_rate = sets_rate and self.end is not None
        self._total, self._step, self._progress = phase.epochs, 0, 0.0
        self._laps, self._test_laps, self._peaks, self._earlier = [], [], [], 0

    def describe_state(self) -> dict[str, Any]:
        """Returns where the phase and its rates are, in JSON's types."""
        return asdict(_State(self._total, self._step, self._progress, tuple(self._peaks)))

    def restore_state(self, state: Any, *, epochs: int) -> None:
        """Goes on where an earlier process stopped within the phase.

        Args:
            state: from `describe_state`, or the JSON of it.
            epochs: of the phase that are over.

        Raises:
            RunError: it is something else.
        """
        found = read_record(_State, state, where="pace of a phase", error=RunError)
        self._total, self._step, self._progress = found.total, found.step, found.progress
        self._peaks, self._earlier = list(found.peaks), epochs

    @property
    def epochs(self) -> int:
        """Epochs that the phase will have, as far as is known by now."""
        return self._total

    @property
    def most_epochs(self) -> int:
        """Epochs that the phase may have."""
        if self.end is None or self._phase.longest is None:
            return self._phase.epochs
        return self._phase.longest

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes when the epoch began."""
        self._epoch_started = self._lap_started = time.monotonic()
        if not self._peaks:
            self._peaks = [_read(optimizer) for optimizer in self._optimizers()]
        if keras.backend.backend() != "tensorflow":
            # Elsewhere the rate lies in the compiled step's state until the epoch is over.
            self._write_rates(
                self._progress + (1 - self._progress) / (2 * self._epochs_left(epoch))
            )

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of this step."""
        if keras.backend.backend() == "tensorflow":
            self._write_rates(self._progress)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Goes one step on, and stops in an epoch that nothing told would take so long."""
        self._laps.append(self._lap(self._lap_started))
        self._step += 1
        left = max(0, self._total * self._steps - self._step)
        self._progress += (1 - self._progress) / (left + 1)
        if self.end is not None and time.monotonic() > self.end:
            self.model.stop_training = True
            self._end_early()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Notes when the batch began."""
        self._lap_started = time.monotonic()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Notes how long it took."""
        self._test_laps.append(self._lap(self._lap_started))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Decides how many epochs the phase has."""
        if self.end is None:
            return
        done = epoch + 1 - self._first
        left = self.end - time.monotonic()
        fitting = max(0, math.floor(left / max(self._epoch_seconds(done), 1e-6)))
        self._total = min(self.most_epochs, done + fitting)
        if self._total <= done:
            self.model.stop_training = True
            if done < self._phase.epochs:
                self._end_early()
        self._test_laps = []

    def _end_early(self) -> None:
        if not self.reached:
            falls = self._sets_rate and self._phase.decay == "cosine"
            self.cut = not falls or rate_factor(self._phase, self._progress) > FALLEN_RATE
        self.reached = True

    def _epoch_seconds(self, done: int) -> float:
        """Returns what the next epoch takes: a process's first one also traced and compiled."""
        if done - self._earlier > 1:
            return time.monotonic() - self._epoch_started
        steps, tests = self._laps[1:] or self._laps, self._test_laps[1:] or self._test_laps
        return sum(
            len(all_laps) * float(np.median(laps))
            for all_laps, laps in ((self._laps, steps), (self._test_laps, tests))
            if laps
        )

    def _lap(self, started: float) -> float:
        self._lap_started = time.monotonic()
        return self._lap_started - started

    def _epochs_left(self, epoch: int) -> int:
        return max(1, self._total - (epoch - self._first))

    def _optimizers(self) -> list[Any]:
        optimizer = self.model.optimizer
        if isinstance(optimizer, keras.optimizers.MultiOptimizer):
            return list(optimizer.optimizers)
        return [optimizer]

    def _write_rates(self, progress: float) -> None:
        if not self._sets_rate:
            return
        factor = rate_factor(self._phase, progress)
        for optimizer, peak in zip(self._optimizers(), self._peaks, strict=True):
            optimizer.learning_rate = peak * factor


def _read(optimizer: Any) -> float:
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
