"""TensorFlow's own converter: float recipes, and integer ones by its calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer_edge.conversion.graph import INPUT, OUTPUT, SIGNATURE, FrozenGraph, describe_failure
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.tflite.rewrites import name_ends

__all__ = ["NAME", "quantize"]

NAME = "converter"


def quantize(graph: FrozenGraph, recipe: Recipe, inputs: np.ndarray | None) -> Quantized:
    """Returns the model as the recipe has it.

    Args:
        graph: what to convert.
        recipe: not `onnx`, not selective.
        inputs: calibration images as the graph's input takes them; None for recipes without.

    Raises:
        ConversionError: this engine cannot.
    """
    if recipe.selective:
        raise ConversionError(f"engine {NAME}: does not keep single layers float.")
    if recipe.kind == "float" and recipe.weight_bits == 32:
        return Quantized(graph.float_content)
    try:
        with quiet():
            content = bytes(_make_converter(graph, recipe, inputs).convert())
    # The converter raises ConverterError, RuntimeError and ValueError alike.
    except Exception as error:
        raise ConversionError(f"engine {NAME}: {describe_failure(graph, error)}") from error
    return Quantized(name_ends(content, source=INPUT, target=OUTPUT, signature=SIGNATURE))


def _make_converter(graph: FrozenGraph, recipe: Recipe, inputs: np.ndarray | None) -> Any:
    import tensorflow as tf

    converter = graph.make_converter()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.kind == "float":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe.kind == "static":
        if inputs is None:
            raise ConversionError(f"recipe {recipe.name!r}: expected calibration images.")
        converter.representative_dataset = lambda: ([image[None]] for image in inputs)
        operators = tf.lite.OpsSet
        if recipe.activation_bits == 8:
            converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.uint8
        else:
            converter.target_spec.supported_ops = [
                operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
    return converter
