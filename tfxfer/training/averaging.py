"""A running average of the weights, which is what validation and the result get to see."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["WeightAverage"]

_SAMPLES = 200
"""Of the weights, in a phase: few enough to cost nothing, also where they come from a GPU."""


class WeightAverage(keras.callbacks.Callback):
    """Shows a running average of the weights wherever an epoch is judged or kept.

    From the validation of an epoch until the next one begins, the model holds the average, and
    training goes on from its own weights. The n-th sample weighs 9 / (10 + n), so that the average
    spans about the last ninth of the phase so far, however many steps that is.

    Steps at a high rate move the weights around a minimum, and of a few such epochs the best on a
    small validation split is the luckiest. Their average lies nearer to the minimum and jumps less;
    measured in docs/benchmarks.md.

    Source:
        Polyak and Juditsky 1992; the growing span is that of `num_updates` in
        `tf.train.ExponentialMovingAverage`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._every: int | None = None
        self._steps = self._taken = 0
        self._average: list[np.ndarray] = []
        self._own: list[np.ndarray] | None = None

    def start_phase(self, steps: int | None) -> None:
        """Forgets the phase before.

        Args:
            steps: of all epochs of the phase; None averages nothing in it.
        """
        self._every = None if steps is None else max(1, steps // _SAMPLES)
        self._steps = self._taken = 0
        self._average, self._own = [], None

    @property
    def counts(self) -> tuple[int, int]:
        """Steps that were seen, and samples that the average has taken in."""
        return self._steps, self._taken

    @property
    def own(self) -> tuple[np.ndarray, ...]:
        """The weights that training goes on from, while the model holds the average; else none."""
        return tuple(self._own or ())

    def copy_average(self) -> tuple[np.ndarray, ...]:
        """Returns the average as it is now; none before its first sample."""
        return tuple(values.copy() for values in self._average)

    def restore_state(
        self,
        counts: tuple[int, int],
        average: tuple[np.ndarray, ...],
        own: tuple[np.ndarray, ...],
    ) -> None:
        """Goes on where an earlier process stopped within the phase.

        Args:
            counts: see `counts`.
            average: see `copy_average`.
            own: see `own`.
        """
        self._steps, self._taken = counts
        self._average = [values.copy() for values in average]
        self._own = list(own) or None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Lets training go on from its own weights."""
        if self._own is not None:
            self._write(self._own)
            self._own = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Adds a sample now and then."""
        self._steps += 1
        if self._every is None or self._steps % self._every:
            return
        weights = self._read()
        if not self._average:
            self._average = weights
            return
        self._taken += 1
        share = 9 / (10 + self._taken)
        for average, new in zip(self._average, weights, strict=True):
            average += share * (new - average)

    def on_test_begin(self, logs: Any = None) -> None:
        """Puts the average into the model, until the next epoch begins."""
        if self._average and self._own is None:
            self._own = self._read()
            self._write(self._average)

    def _read(self) -> list[np.ndarray]:
        # Under JAX, asking for the model gives its layers their values back.
        return [np.array(variable) for variable in self.model.trainable_variables]

    def _write(self, weights: list[np.ndarray]) -> None:
        for variable, value in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(value.copy())  # JAX may keep the array itself
