"""TensorFlow's own converter: float recipes, and integer ones by its calibration."""

from __future__ import annotations

import numpy as np

from tfxfer_edge.conversion.graph import (
    INPUT,
    OUTPUT,
    SIGNATURE,
    FrozenGraph,
    describe_failure,
)
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.conversion.tensorflow_lite import convert_quantized
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
    if recipe.kind == "static" and inputs is None:
        raise ConversionError(f"recipe {recipe.name!r}: expected calibration images.")
    try:
        with quiet():
            content = convert_quantized(graph.function, recipe, inputs)
    # The converter raises ConverterError, RuntimeError and ValueError alike.
    except Exception as error:
        raise ConversionError(f"engine {NAME}: {describe_failure(graph, error)}") from error
    return Quantized(name_ends(content, source=INPUT, target=OUTPUT, signature=SIGNATURE))
