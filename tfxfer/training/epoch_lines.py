"""One line per epoch and a bar per phase, for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfxfer.progress import Progress

__all__ = ["EpochLines"]


class EpochLines(keras.callbacks.Callback):
    """Prints what an epoch came to.

    Args:
        print_line: prints one line.
        progress: draws batches of an epoch.
    """

    def __init__(self, print_line: Callable[[str], None], progress: Progress) -> None:
        super().__init__()
        self._print, self._progress = print_line, progress
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch this is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        steps = self.params["steps"]
        epochs = self.params["epochs"]
        self._progress("training", self._epoch * steps + batch + 1, epochs * steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's figures."""
        figures = "  ".join(f"{key} {value:.4f}" for key, value in (logs or {}).items())
        self._print(f"epoch {epoch + 1}/{self.params['epochs']}  {figures}")
