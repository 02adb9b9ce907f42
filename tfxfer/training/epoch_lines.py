"""What a person sees of a training: a bar with the epoch and its score, or a line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfxfer.progress import Progress

__all__ = ["EpochLines"]


class EpochLines(keras.callbacks.Callback):
    """Tells how far the training is, and what its epochs came to.

    Args:
        print_line: prints one line for each epoch; None prints none.
        progress: told of batches, with the epoch and the latest score.
        monitor: key in Keras's logs of that score.
    """

    def __init__(
        self, print_line: Callable[[str], None] | None, progress: Progress, *, monitor: str
    ) -> None:
        super().__init__()
        self._print, self._progress, self._monitor = print_line, progress, monitor
        self._epoch, self._score = 0, ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch this is."""
        self._epoch = epoch
        # Before the first batch Keras compiles, which takes longer than many an epoch.
        self._tell(0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
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
        steps, epochs = self.params["steps"], self.params["epochs"]
        what = f"training: epoch {self._epoch + 1} of {epochs}{self._score}"
        self._progress(what, self._epoch * steps + batches, epochs * steps)
