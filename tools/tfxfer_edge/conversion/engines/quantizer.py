"""LiteRT Quantizer: works on the float TFLite file, and is the faster of the two."""

from __future__ import annotations

import numpy as np

from tfxfer_edge.conversion.engines.integer import (
    NAME,
    calibrate,
    quantize_static,
    quantize_weights,
)
from tfxfer_edge.conversion.engines.selective import quantize_selective
from tfxfer_edge.conversion.graph import FrozenGraph
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.tflite.flatbuffer import list_operators, read_model

__all__ = ["NAME", "find_float_islands", "quantize"]


def quantize(graph: FrozenGraph, recipe: Recipe, inputs: np.ndarray | None) -> Quantized:
    """Returns the model as the recipe has it.

    Args:
        graph: what to convert.
        recipe: not `onnx`.
        inputs: calibration images as the graph's input takes them; None for recipes without.

    Raises:
        ConversionError: this engine cannot.
    """
    if recipe.kind == "float" and recipe.weight_bits == 32:
        return Quantized(graph.float_content)
    if recipe.kind != "static":
        return Quantized(quantize_weights(graph, recipe))
    if inputs is None:
        raise ConversionError(f"recipe {recipe.name!r}: expected calibration images.")
    ranges = calibrate(graph, inputs)
    if recipe.selective:
        return quantize_selective(graph, recipe, ranges, inputs)
    content = quantize_static(graph, recipe, ranges)
    _refuse_float_islands(content, recipe)
    return Quantized(content)


def _refuse_float_islands(content: bytes, recipe: Recipe) -> None:
    islands = find_float_islands(content)
    if islands:
        counts = ", ".join(f"{islands.count(name)} {name}" for name in dict.fromkeys(islands))
        raise ConversionError(
            f"engine {NAME}: recipe {recipe.name!r} would leave operators in float: {counts}."
        )


def find_float_islands(content: bytes) -> list[str]:
    """Returns the operators that compute in float between the two ends of an integer model."""
    model, names = read_model(content), list_operators(content)
    graph = model.subgraphs[0]
    return [
        name
        for name, operator in zip(names, graph.operators, strict=True)
        if name not in ("QUANTIZE", "DEQUANTIZE")
        and any(graph.tensors[index].type == 0 for index in operator.outputs)  # FLOAT32
    ]
