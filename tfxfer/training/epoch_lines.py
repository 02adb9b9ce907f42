"""What a person sees of a training: a bar with the epoch and its score, or a line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfxfer.progress import Progress

__all__ = ["EpochLines"]


class EpochLines(keras.callbacks.Callback):
    """Tells how far each phase is, and what its epochs came to.

    Its `params` say, beside what Keras's do, which `phase` runs, its `phase_first_epoch`, and how
    many `phase_epochs` it will have, as far as is known when an epoch begins.

    Args:
        print_line: prints one line for each epoch; None prints none.
        progress: told of the phase's batches, with the epoch and the latest score. A phase is a
            work of its own: its speed says nothing of another's.
        monitor: key in Keras's logs of that score.
        hold: told True when a step begins, and False when it is over, before `progress` is.
    """

    def __init__(
        self,
        print_line: Callable[[str], None] | None,
        progress: Progress,
        *,
        monitor: str,
        hold: Callable[[bool], None] | None = None,
    ) -> None:
        super().__init__()
        self._hold = hold
        self._print, self._progress, self._monitor = print_line, progress, monitor
        self._epoch, self._score = 0, ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch this is."""
        self._epoch = epoch
        # Before the first batch Keras compiles, which takes longer than many an epoch.
        self._tell(0)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins a step."""
        if self._hold is not None:
            self._hold(True)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends a step, and moves the bar."""
        if self._hold is not None:
            self._hold(False)
        self._tell(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch's score, and prints its figures."""
        figures = logs or {}
        if self._monitor in figures:
            self._score = f", {self._monitor} {figures[self._monitor]:.3f}"
        if self._print is not None:
            text = "  ".join(f"{key} {value:.4f}" for key, value in figures.items())
            self._print(f"epoch {epoch + 1}/{self.params['epochs']}  {text}")

    def _tell(self, batches: int) -> None:
        params = self.params
        number, epochs = self._epoch - params["phase_first_epoch"], params["phase_epochs"]
        what = f"training {params['phase']}: epoch {number + 1} of {epochs}"
        if params["epochs"] > epochs:
            what += f", {self._epoch + 1} of {params['epochs']} in all"
        # An epoch is over when it has been validated, and the phase when no other one follows,
        # which the last batch does not know.
        whole = params["steps"] + 1
        self._progress(f"{what}{self._score}", number * whole + batches, epochs * whole)
