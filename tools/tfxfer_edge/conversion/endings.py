"""What is added to the end of a model from elsewhere, in builtin operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfxfer.outputs import OutputStep
from tfxfer_edge.conversion.sources import Source

__all__ = ["add_steps"]


def add_steps(source: Source, steps: Sequence[OutputStep]) -> Source:
    """Returns a source whose scores have gone through some steps.

    Args:
        source: of a model.
        steps: in order.
    """
    if not steps:
        return source
    model = source.keras_model
    return replace(
        source,
        call=lambda image: _extend_graph(source.call(image), steps),
        keras_model=None if model is None else _extend_model(model, steps),
        activation=None,
    )


def _extend_graph(scores: Any, steps: Sequence[OutputStep]) -> Any:
    import tensorflow as tf

    for step in steps:
        if step == "softmax":
            scores = tf.nn.softmax(scores)
        elif step == "sigmoid":
            scores = tf.sigmoid(scores)
        else:
            scores = tf.concat([1.0 - scores, scores], axis=-1)
    return scores


def _extend_model(model: Any, steps: Sequence[OutputStep]) -> Any:
    import keras

    (scores,) = model.outputs
    for step in steps:
        if step == "complement":
            other = keras.layers.Rescaling(-1.0, 1.0, dtype="float32")(scores)
            scores = keras.layers.Concatenate(dtype="float32")([other, scores])
        else:
            scores = keras.layers.Activation(step, dtype="float32")(scores)
    return keras.Model(model.inputs[0], scores, name=model.name)
