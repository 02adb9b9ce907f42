"""How a model from elsewhere ends, and what is added to that, in builtin operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfxfer.outputs import OutputStep
from tfxfer_edge.conversion.sources import Source

__all__ = ["add_steps", "find_graph_activation"]

_PASSES_ON = frozenset({"Cast", "Identity", "StopGradient"})
_RESHAPES = frozenset({"Reshape", "Squeeze"})
_ACTIVATIONS = {
    "LogSoftmax": "log_softmax",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
_SUMS = frozenset({"Conv2D", "MatMul"})
_ADDITIONS = frozenset({"Add", "AddV2", "BiasAdd"})


def find_graph_activation(function: Any) -> str | None:
    """Returns what the only output of a frozen function went through.

    Args:
        function: a `ConcreteFunction` without variables, its calls inlined.

    Returns:
        The name of a function, `linear` for what a dense layer adds up, or None where the end is
        another operation.
    """
    tensor = function.outputs[0]
    while True:
        operation = tensor.op
        if operation.type in _PASSES_ON or (
            operation.type in _RESHAPES and _last(tensor) == _last(operation.inputs[0]) is not None
        ):
            tensor = operation.inputs[0]
        elif operation.type in _ADDITIONS:
            sums = [item.op.type in _SUMS for item in operation.inputs]
            constants = [_is_constant(item) for item in operation.inputs]
            return "linear" if any(sums) and any(constants) else None
        else:
            return "linear" if operation.type in _SUMS else _ACTIVATIONS.get(operation.type)


def _last(tensor: Any) -> int | None:
    return tensor.shape[-1] if tensor.shape.rank else None


def _is_constant(tensor: Any) -> bool:
    while tensor.op.type in _PASSES_ON | _RESHAPES:
        tensor = tensor.op.inputs[0]
    return bool(tensor.op.type == "Const")


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
        call=lambda *tensors: _extend_graph(source.call(*tensors), steps),
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
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    return keras.Model(inputs, scores, name=model.name)
