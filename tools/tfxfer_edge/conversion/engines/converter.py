"""TensorFlow's own converter: float recipes, and integer ones by its calibration."""

from __future__ import annotations

from tfxfer_edge.conversion.converting import convert_quantized
from tfxfer_edge.conversion.engines.extremes import add_extremes
from tfxfer_edge.conversion.graph import FrozenGraph, Prepared, describe_failure
from tfxfer_edge.conversion.quantized import ConversionError, Quantized
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.door import IMAGE

__all__ = ["NAME", "quantize"]

NAME = "converter"


def quantize(graph: FrozenGraph, recipe: Recipe, inputs: Prepared | None) -> Quantized:
    """Returns the model as the recipe has it.

    Args:
        graph: what to convert.
        recipe: not `onnx`, not selective.
        inputs: calibration samples as the graph takes them; None for recipes without.

    Raises:
        ConversionError: this engine cannot.
    """
    if recipe.selective:
        raise ConversionError(f"engine {NAME}: does not keep single layers float.")
    if recipe.kind in ("weights", "file"):
        raise ConversionError(f"engine {NAME}: only LiteRT Quantizer does recipe {recipe.name!r}.")
    if recipe.kind == "float" and recipe.weight_bits == 32:
        return Quantized(graph.float_content)
    if recipe.kind == "static" and inputs is None:
        raise ConversionError(f"recipe {recipe.name!r}: expected calibration samples.")
    try:
        with quiet():
            takes_bytes = graph.modality == IMAGE
            if inputs is not None:
                inputs = add_extremes(graph, inputs)
            content = convert_quantized(graph.function, recipe, inputs, takes_bytes=takes_bytes)
    # The converter raises ConverterError, RuntimeError and ValueError alike.
    except Exception as error:
        raise ConversionError(f"engine {NAME}: {describe_failure(graph, error)}") from error
    return Quantized(graph.name_ends(content))
