"""The callbacks that a user hands to `fit`, looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from tfxfer.errors import UsageError
from tfxfer.system.arguments import describe_value

__all__ = ["list_callbacks"]


def list_callbacks(callbacks: Any) -> list[Any]:
    """Returns the user's callbacks: one, several, or None for none.

    Raises:
        UsageError: one is no callback, or it would restore a training of which it knows too little.
    """
    found = [] if callbacks is None else callbacks
    if isinstance(found, keras.callbacks.Callback):
        found = [found]
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes)):
        raise UsageError(
            f"fit: expected a list of Keras callbacks. Received: {describe_value(found)}."
        )
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            raise UsageError(
                "fit: expected Keras callbacks, keras.callbacks.Callback. "
                f"Received: {describe_value(callback)}."
            )
        # It sets the model's first epoch, which no phase asks for, and would train all of them
        # again; and it knows neither the best epoch so far nor the phases that are done.
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise UsageError(
                "fit: expected callbacks that leave going on to tfxfer. Received: "
                "BackupAndRestore, which knows nothing of phases. Keep the state and the weights "
                "in control=tfxfer.Control(on_phase_end=…) and go on with Control(state=…) "
                "(docs/training.md), or train with `tfxfer train`, which has --resume."
            )
    return list(found)
