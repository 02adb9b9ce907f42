"""LiteRT Quantizer: works on the float TFLite file, and is the faster of the two."""

from __future__ import annotations

import math

from tfxfer_edge.conversion.engines.integer import (
    NAME,
    calibrate,
    quantize_by_rules,
    quantize_static,
    quantize_weights,
)
from tfxfer_edge.conversion.engines.selective import quantize_selective
from tfxfer_edge.conversion.graph import FrozenGraph, Prepared
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.door import find_door
from tfxfer_edge.tflite.flatbuffer import list_operators, read_model

__all__ = ["NAME", "find_float_islands", "leaves_tables", "quantize"]

_FLOAT32 = 0
_LOOKUPS = ("EMBEDDING_LOOKUP", "GATHER", "GATHER_ND")
_LARGE_TABLE = 10_000  # numbers; what is smaller saves nothing


def quantize(graph: FrozenGraph, recipe: Recipe, inputs: Prepared | None) -> Quantized:
    """Returns the model as the recipe has it.

    Args:
        graph: what to convert.
        recipe: not `onnx`.
        inputs: calibration samples as the graph takes them; None for recipes without.

    Raises:
        ConversionError: this engine cannot.
    """
    if recipe.kind == "float" and recipe.weight_bits == 32:
        return Quantized(graph.float_content)
    if recipe.kind == "file":
        ranges = None if inputs is None else calibrate(graph, inputs)
        return Quantized(quantize_by_rules(graph, recipe, ranges))
    if recipe.kind != "static":
        return Quantized(quantize_weights(graph, recipe))
    if inputs is None:
        raise ConversionError(f"recipe {recipe.name!r}: expected calibration samples.")
    ranges = calibrate(graph, inputs)
    if recipe.selective:
        return quantize_selective(graph, recipe, ranges, inputs)
    content = quantize_static(graph, recipe, ranges)
    islands = find_float_islands(content)
    if not islands:
        return Quantized(content)
    counts = ", ".join(f"{islands.count(name)} {name}" for name in dict.fromkeys(islands))
    if not find_door(graph.modality).allows_islands:
        raise ConversionError(
            f"engine {NAME}: recipe {recipe.name!r} would leave operators in float: {counts}."
        )
    return Quantized(content, notes=(f"{recipe.name}: these compute in float: {counts}",))


def leaves_tables(graph: FrozenGraph) -> bool:
    """Returns whether this engine leaves much in float32 where only weights get fewer bits.

    It does so with embeddings (0.11), which may be half of a text model.
    """
    main = read_model(graph.float_content).subgraphs[0]
    return any(
        name in _LOOKUPS
        and main.tensors[index].type == _FLOAT32
        and main.tensors[index].buffer
        and math.prod(main.tensors[index].shape) >= _LARGE_TABLE
        for name, operator in zip(list_operators(graph.float_content), main.operators, strict=True)
        for index in operator.inputs
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
