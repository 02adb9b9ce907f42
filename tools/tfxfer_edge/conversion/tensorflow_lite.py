"""TensorFlow's converter to TFLite, which leaves TensorFlow after 2.21: named here alone.

Its version 1 takes a frozen graph as it is. Version 2 freezes what is frozen, and traces it,
again: 10 s for 1 s of work on MobileNetV2 at 224 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer_edge.conversion.internals import Names
from tfxfer_edge.conversion.recipes import Recipe

__all__ = ["RELIED_ON", "convert_float", "convert_quantized", "freeze_variables"]

_INT16X8 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
_ONE_SCALE = "_experimental_disable_per_channel"

RELIED_ON: Names = {
    "tensorflow:compat.v1.lite.TFLiteConverter": (),
    "tensorflow:compat.v1.lite.TFLiteConverter.convert": (),
    "tensorflow:lite.Optimize.DEFAULT": (),
    "tensorflow:lite.OpsSet.TFLITE_BUILTINS_INT8": (),
    f"tensorflow:lite.OpsSet.{_INT16X8}": (),
    ("tensorflow.python.framework.convert_to_constants:convert_variables_to_constants_v2"): (),
}
"""What this module uses of TensorFlow."""


def freeze_variables(function: Any) -> Any:
    """Returns a `ConcreteFunction` whose variables and other captures are constants."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function)


def convert_float(function: Any) -> bytes:
    """Returns the float32 file of a frozen `ConcreteFunction`.

    Raises:
        Exception: what the converter raises: ConverterError, RuntimeError and ValueError alike.
    """
    return bytes(_make_converter(function).convert())


def convert_quantized(
    function: Any,
    recipe: Recipe,
    inputs: Sequence[np.ndarray] | None,
    *,
    takes_bytes: bool = True,
) -> bytes:
    """Returns the file of a frozen `ConcreteFunction` as a recipe has it.

    Args:
        function: without variables.
        recipe: of fewer bits than float32; not `onnx`, not selective.
        inputs: samples as the function takes them, an array for each of its arguments; None where
            the recipe is not static.
        takes_bytes: whether a full-integer file takes uint8; else its inputs stay as they are.

    Raises:
        Exception: as `convert_float`.
    """
    import tensorflow as tf

    converter = _make_converter(function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if not recipe.per_channel:
        if not hasattr(converter, _ONE_SCALE):
            raise RuntimeError(f"expected TFLiteConverter.{_ONE_SCALE}, for one scale a kernel")
        setattr(converter, _ONE_SCALE, True)
    if recipe.kind == "float":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe.kind == "static":
        assert inputs is not None
        rows = list(zip(*inputs, strict=True))
        converter.representative_dataset = lambda: ([x[None] for x in row] for row in rows)
        if recipe.activation_bits == 8:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_output_type = tf.uint8
            if takes_bytes:
                converter.inference_input_type = tf.uint8
        else:
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, _INT16X8)]
    return bytes(converter.convert())


def _make_converter(function: Any) -> Any:
    import tensorflow as tf

    definition = function.graph.as_graph_def(add_shapes=True)
    return tf.compat.v1.lite.TFLiteConverter(definition, function.inputs, function.outputs)
