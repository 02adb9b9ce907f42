"""How an output of a flat model answers to activations at the end of a stage, and to weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfxfer.errors import SetupError
from tfxfer.frontier.cut import list_crossing, list_prefix_inputs
from tfxfer.keras_private import find_source
from tfxfer.stages import stage_tensor

__all__ = ["StageGradients", "WeightGradients", "find_logits"]

_SQUASHING = ("softmax", "sigmoid")
# Layers and operations that a graph may end with and that pass their input on when not training.
_PASSES_ON = ("ActivityRegularization", "Dropout", "Identity")


class StageGradients:
    """Activations at the end of a stage, and the gradient of a chosen output with respect to them.

    What is differentiated is the output before a softmax or sigmoid that the model ends in: where a
    model is sure, the slope of either is zero to float32, and so would be every gradient behind it.

    Args:
        model: flat, from `build_model` or `load_model`.
        stage: name of a stage.

    Attributes:
        squashed_by: what the differentiated output goes through in the model, `softmax` or
            `sigmoid`; None where the model's own output is differentiated.

    Raises:
        ModelError: see `get_info` and `list_crossing`.
        ScheduleError: the model has no such stage.
    """

    def __init__(self, model: keras.Model, stage: str) -> None:
        end = stage_tensor(model, stage)
        logits, self.squashed_by = find_logits(model)
        self._crossing = list_crossing(model, stage)
        self._needed = list_prefix_inputs(model, [stage])
        self._dtypes = [tensor.dtype for tensor in model.inputs]
        before = [model.inputs[position] for position in self._needed]
        self._prefix = keras.Model(before if len(before) > 1 else before[0], end)
        beside = [model.inputs[position] for position in self._crossing]
        self._suffix = keras.Model([end, *beside] if beside else end, logits)

    def compute(
        self, inputs: Sequence[np.ndarray], outputs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the activations of some samples, and their gradients; all at once.

        Args:
            inputs: of the model, in its order.
            outputs: the chosen output of each sample, by position.

        Shapes: inputs (samples, …) each; outputs (samples,); returns twice float32 (samples, …) as
            the stage ends.
        """
        arrays = [np.asarray(x, dtype) for x, dtype in zip(inputs, self._dtypes, strict=True)]
        needed = [arrays[position] for position in self._needed]
        # Not `predict`, which traces anew for each model: that takes longer than a few batches.
        end = self._prefix(needed if len(needed) > 1 else needed[0], training=False)
        # Keras takes tensors or arrays, not both at once.
        beside = [keras.ops.convert_to_tensor(arrays[position]) for position in self._crossing]
        slope = _differentiate(self._suffix, end, beside, np.asarray(outputs))
        return keras.ops.convert_to_numpy(end), keras.ops.convert_to_numpy(slope)


class WeightGradients:
    """The gradient of one sample's logits with respect to the weights behind a stage.

    Args:
        model: flat, from `build_model` or `load_model`.
        stage: name of a stage; None is the inputs.

    Attributes:
        variables: that train, in the order of the gradients: freeze the model first.
        link: what makes the model's outputs of the logits, `softmax` or `sigmoid`; None where the
            outputs themselves are differentiated.

    Raises:
        ModelError: see `get_info` and `list_crossing`.
        ScheduleError: the model has no such stage.
    """

    def __init__(self, model: keras.Model, stage: str | None) -> None:
        logits, self.link = find_logits(model)
        self._dtypes = [tensor.dtype for tensor in model.inputs]
        self._crossing = list_crossing(model, stage)
        beside = [model.inputs[position] for position in self._crossing]
        self._prefix = None
        self._needed: tuple[int, ...] = ()
        if stage is None:
            given = beside
        else:
            end = stage_tensor(model, stage)
            self._needed = list_prefix_inputs(model, [stage])
            before = [model.inputs[position] for position in self._needed]
            self._prefix = keras.Model(before if len(before) > 1 else before[0], end)
            given = [end, *beside]
        given = given if len(given) > 1 else given[0]
        self._suffix = keras.Model(given, [logits, model.outputs[0]])
        self.variables = self._suffix.trainable_variables

    def compute(
        self, inputs: Sequence[np.ndarray], choose: Callable[[np.ndarray], np.ndarray]
    ) -> list[np.ndarray]:
        """Returns the gradient of one sample's logits, weighed and added up.

        Args:
            inputs: of the model, in its order.
            choose: gets the sample's scores, and returns what its logits are multiplied by.

        Shapes: inputs (1, …) each; `choose` maps (1, outputs) to the same; returns an array as each
            of `variables`.
        """
        arrays = [
            keras.ops.convert_to_tensor(np.asarray(x, dtype))
            for x, dtype in zip(inputs, self._dtypes, strict=True)
        ]
        given = [arrays[position] for position in self._crossing]
        if self._prefix is not None:
            needed = [arrays[position] for position in self._needed]
            end = self._prefix(needed if len(needed) > 1 else needed[0], training=False)
            given = [end, *given]
        found = _differentiate_weights(self._suffix, given, choose)
        return [np.asarray(keras.ops.convert_to_numpy(slope)) for slope in found]


def find_logits(model: keras.Model) -> tuple[Any, str | None]:
    """Returns the model's output before its softmax or sigmoid, and which of them that was.

    Returns:
        The output itself and None, where the model ends in neither.
    """
    tensor = model.outputs[0]
    while True:
        operation, node = find_source(tensor)
        kind = type(operation).__name__
        if node.is_input:
            return model.outputs[0], None
        if kind in _PASSES_ON:
            tensor = node.input_tensors[0]
            continue
        activation = getattr(operation, "activation", None)
        name = kind.lower() if activation is None else getattr(activation, "__name__", "")
        if name not in _SQUASHING:
            return model.outputs[0], None
        if kind in ("Activation", "Softmax", "Sigmoid"):
            return node.input_tensors[0], name
        if kind == "Dense":
            return _without_activation(operation, node.input_tensors[0]), name
        return model.outputs[0], None


def _without_activation(layer: Any, source: Any) -> Any:
    """Returns what a dense layer adds up, through a copy of it: its own tensor does not exist."""
    config = {**layer.get_config(), "activation": "linear", "name": f"{layer.name}_logits"}
    copy = type(layer).from_config(config)
    tensor = copy(source)
    copy.set_weights(layer.get_weights())
    return tensor


def _differentiate(suffix: Any, end: Any, beside: list[Any], outputs: np.ndarray) -> Any:
    """Returns the gradient of each sample's chosen output with respect to its activations.

    Samples do not see each other where nothing is training, so that the gradient of the sum of the
    outputs holds that of each.
    """
    backend = keras.backend.backend()
    rows = np.arange(len(outputs))
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(end)
            found = suffix([end, *beside] if beside else end, training=False)
            chosen = tf.gather_nd(found, np.stack([rows, outputs], axis=1))
        return tape.gradient(chosen, end)
    if backend == "jax":
        import jax

        trainable = [variable.value for variable in suffix.trainable_variables]
        others = [variable.value for variable in suffix.non_trainable_variables]

        def add_up(values: Any) -> Any:
            given = [values, *beside] if beside else values
            found, _ = suffix.stateless_call(trainable, others, given, training=False)
            return found[rows, outputs].sum()

        return jax.grad(add_up)(end)
    raise _make_error(backend)


def _differentiate_weights(
    network: Any, given: list[Any], choose: Callable[[np.ndarray], np.ndarray]
) -> list[Any]:
    """Returns the gradient of the weighed logits with respect to each trainable variable."""
    backend = keras.backend.backend()
    inputs = given if len(given) > 1 else given[0]
    if backend == "tensorflow":
        import tensorflow as tf

        values = [variable.value for variable in network.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits, scores = network(inputs, training=False)
            total = tf.reduce_sum(logits * choose(scores.numpy()))
        return tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if backend == "jax":
        import jax

        others = [variable.value for variable in network.non_trainable_variables]
        trainable = [variable.value for variable in network.trainable_variables]
        weights = choose(np.asarray(network(inputs, training=False)[1]))

        def add_up(values: Any) -> Any:
            (logits, _), _ = network.stateless_call(values, others, inputs, training=False)
            return (logits * weights).sum()

        return jax.grad(add_up)(trainable)
    raise _make_error(backend)


def _make_error(backend: str) -> SetupError:
    return SetupError(
        f"gradients: expected the Keras backend tensorflow or jax. Received: {backend!r}."
    )
