"""A network for one training, whose loss has a penalty of its own.

The penalty counts in training alone: validation, which chooses the epoch, measures what the network
itself answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

__all__ = ["ask_earlier", "watch_network"]

Penalize = Callable[[Any, list[Any]], Any]
"""Maps what is watched and the network's inputs, of a batch, to a penalty, a number."""

Change = Callable[[Any, Any], Any]
"""Maps answers and what is watched to the answers that the head's loss is shown in training."""


class Watcher(keras.layers.Layer):
    """Passes answers on, and adds a penalty to the loss of a training.

    Args:
        penalize: what is watched.
        change: the answers, in training; None leaves them as they are.
    """

    def __init__(self, penalize: Penalize, change: Change | None) -> None:
        # The inputs stay what they are: activations may be float16, and token numbers integers.
        super().__init__(name="watcher", dtype="float32", autocast=False)
        self._penalize, self._change = penalize, change

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        """Returns the answers, which come before what is watched and what both were made of."""
        answers, watched, *given = inputs
        if not training:
            return answers
        self.add_loss(self._penalize(watched, given))
        return answers if self._change is None else self._change(answers, watched)

    def compute_output_spec(self, inputs: list[Any], training: bool | None = None) -> Any:
        """Returns that the answers have the shape that they had."""
        return keras.KerasTensor(inputs[0].shape, inputs[0].dtype)


def ask_earlier(earlier: Any, given: list[Any]) -> Any:
    """Returns what an earlier network makes of a batch; no gradient reaches its weights.

    Args:
        earlier: a Keras model.
        given: its inputs.
    """
    found = earlier(given if len(given) > 1 else given[0], training=False)
    return keras.ops.stop_gradient(found)


def watch_network(
    network: Any, penalize: Penalize, *, watched: Any = None, change: Change | None = None
) -> Any:
    """Returns a network for one training, whose loss has a penalty of its own.

    Args:
        network: that trains; it shares its layers with what is returned.
        penalize: each batch. What it refers to, such as another network's weights, is none of what
            is trained.
        watched: the tensor of `network` that it gets; None is the answers.
        change: of the answers that the head's loss is shown; None is none.
    """
    answers, inputs = network.outputs[0], list(network.inputs)
    seen = answers if watched is None else watched
    outputs = Watcher(penalize, change)([answers, seen, *inputs])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=network.name)
