"""LiteRT Quantizer: works on the float TFLite file, and is the faster of the two."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfxfer_edge.engines import ConversionError, Quantized, quiet
from tfxfer_edge.flatbuffer import add_uint8_ends, inline_buffers, list_operators, read_model
from tfxfer_edge.graph import INPUT, SIGNATURE, FrozenGraph
from tfxfer_edge.recipes import Recipe

__all__ = ["NAME", "Ranges", "calibrate", "quantize", "quantize_static"]

NAME = "quantizer"
Ranges = dict[str, Any]
"""Smallest and largest value of every tensor, by name, as LiteRT Quantizer keeps them."""


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
        return Quantized(inline_buffers(_run(graph, _weights_recipe(recipe), None)))
    if inputs is None:
        raise ConversionError(f"recipe {recipe.name!r}: expected calibration images.")
    ranges = calibrate(graph, inputs)
    if recipe.selective:
        from tfxfer_edge.selective import quantize_selective

        return quantize_selective(graph, recipe, ranges, inputs)
    content = quantize_static(graph, recipe, ranges)
    _refuse_float_islands(content, recipe)
    return Quantized(content)


def calibrate(graph: FrozenGraph, inputs: np.ndarray) -> Ranges:
    """Returns the ranges of all tensors over images; the input's is its contract's, not theirs.

    Raises:
        ConversionError: the float file does not run.
    """
    from litert_quantizer.calibrator import CalibrationMode, Calibrator
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils.qsv_utils import min_max_update

    try:
        with quiet():
            tool = Calibrator(
                graph.float_content,
                num_threads=os.cpu_count() or 1,
                # Min and max inside the runtime: several times faster than reading every tensor.
                mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
                # Its default, a moving average, clips what only some images reach: on flowers the
                # error of MobileNetV2's features was a fifth larger.
                qsv_update_func=min_max_update,
            )
            tool.calibrate({SIGNATURE: [{INPUT: image[None]} for image in inputs]}, RecipeManager())
            ranges: Ranges = tool.get_model_qsvs()
    except (ValueError, RuntimeError, KeyError) as error:
        raise ConversionError(f"engine {NAME}: calibration failed: {_first(error)}") from error
    low, high = graph.input_range
    ranges[_input_name(graph)] = {"min": np.array([low]), "max": np.array([high])}
    return ranges


def quantize_static(
    graph: FrozenGraph,
    recipe: Recipe,
    ranges: Ranges,
    *,
    keep_float: Mapping[str, bool] | None = None,
) -> bytes:
    """Returns the integer model, weights inside, uint8 ends where activations have 8 bits.

    Args:
        graph: what to convert.
        recipe: a static one.
        ranges: from `calibrate`.
        keep_float: names of tensors whose operators compute in float, and whether the operator
            holds weights, which then stay in 8 bits.

    Raises:
        ConversionError: this engine cannot.
    """
    content = _run(graph, _static_recipe(recipe, keep_float or {}), ranges)
    if recipe.activation_bits == 8:
        return add_uint8_ends(content)
    return inline_buffers(content)


def _static_recipe(recipe: Recipe, keep_float: Mapping[str, bool]) -> Any:
    from litert_quantizer.qtyping import QuantGranularity, TFLOperationName
    from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

    manager = RecipeManager()
    manager.add_static_config(
        regex=".*",
        operation_name=TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=recipe.activation_bits,
        weight_num_bits=recipe.weight_bits,
        weight_granularity=QuantGranularity.CHANNELWISE
        if recipe.per_channel
        else QuantGranularity.TENSORWISE,
    )
    never = AlgorithmName.NO_QUANTIZE
    if recipe.activation_bits == 16:
        # MediaPipe takes uint8 and float32 at the ends, not int16.
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            manager.add_quantization_config("^.*$", end, algorithm_key=never)
    for name, has_weights in keep_float.items():
        # An operator's scope is the names of what it makes, each ended by a semicolon.
        scope = f"^{re.escape(name)};?$"
        if has_weights:
            manager.add_dynamic_config(scope, TFLOperationName.ALL_SUPPORTED, recipe.weight_bits)
        else:
            manager.add_quantization_config(
                scope, TFLOperationName.ALL_SUPPORTED, algorithm_key=never
            )
    if keep_float:
        # The last rule wins: the ends stay integers, also where the operator beside them is float.
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            manager.add_static_config(
                regex="^.*$",
                operation_name=end,
                activation_num_bits=recipe.activation_bits,
                weight_num_bits=recipe.weight_bits,
            )
    return manager.get_quantization_recipe()


def _weights_recipe(recipe: Recipe) -> Any:
    from litert_quantizer import recipe as recipes
    from litert_quantizer.qtyping import QuantGranularity, TFLOperationName
    from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

    if recipe.kind == "dynamic":
        return recipes.dynamic_wi8_afp32()
    manager = RecipeManager()
    for operation in (
        TFLOperationName.FULLY_CONNECTED,
        TFLOperationName.CONV_2D,
        TFLOperationName.DEPTHWISE_CONV_2D,
        TFLOperationName.CONV_2D_TRANSPOSE,
    ):
        manager.add_weight_only_config(
            regex=".*",
            operation_name=operation,
            num_bits=16,
            granularity=QuantGranularity.TENSORWISE,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )
    return manager.get_quantization_recipe()


def _run(graph: FrozenGraph, recipe: Any, ranges: Ranges | None) -> bytes:
    from litert_quantizer import quantizer

    try:
        with quiet():
            tool = quantizer.Quantizer(graph.float_content, recipe)
            result = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    # Its rules for operators raise what they like.
    except (ValueError, RuntimeError, KeyError, TypeError, IndexError) as error:
        raise ConversionError(f"engine {NAME}: {_first(error)}") from error
    if result.quantized_model is None:
        raise ConversionError(f"engine {NAME}: wrote no model.")
    return bytes(result.quantized_model)


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


def _input_name(graph: FrozenGraph) -> str:
    main = read_model(graph.float_content).subgraphs[0]
    return str(main.tensors[int(main.inputs[0])].name, "utf-8")


def _first(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
