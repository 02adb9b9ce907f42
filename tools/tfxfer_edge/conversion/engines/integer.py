"""LiteRT Quantizer's ranges, and the integer model that it makes with them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfxfer_edge.conversion.graph import INPUT, SIGNATURE, FrozenGraph
from tfxfer_edge.conversion.quantized import ConversionError
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.tflite.flatbuffer import read_model
from tfxfer_edge.tflite.rewrites import add_uint8_ends, inline_buffers

__all__ = ["NAME", "Ranges", "calibrate", "quantize_static", "run_quantizer"]

NAME = "quantizer"
Ranges = dict[str, Any]
"""Smallest and largest value of every tensor, by name, as LiteRT Quantizer keeps them."""


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
    content = run_quantizer(graph, _static_recipe(recipe, keep_float or {}), ranges)
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


def run_quantizer(graph: FrozenGraph, recipe: Any, ranges: Ranges | None) -> bytes:
    """Returns what LiteRT Quantizer makes of the float file.

    Args:
        graph: what to convert.
        recipe: its own kind of recipe.
        ranges: from `calibrate`; None where nothing is static.

    Raises:
        ConversionError: it cannot.
    """
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


def _input_name(graph: FrozenGraph) -> str:
    main = read_model(graph.float_content).subgraphs[0]
    return str(main.tensors[int(main.inputs[0])].name, "utf-8")


def _first(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
