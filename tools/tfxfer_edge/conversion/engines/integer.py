"""LiteRT Quantizer's ranges, and the files that it makes with and without them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import cast

import numpy as np

from tfxfer_edge.conversion.engines.extremes import add_extremes, rescales_inside
from tfxfer_edge.conversion.engines.quantizer_adapter import (
    Ranges,
    find_ranges,
    list_rules,
    quantize_file,
    require_quantizer,
)
from tfxfer_edge.conversion.graph import SIGNATURE, FrozenGraph, Prepared
from tfxfer_edge.conversion.quantized import ConversionError
from tfxfer_edge.conversion.quiet import quiet
from tfxfer_edge.conversion.recipes import Recipe
from tfxfer_edge.tflite.flatbuffer import as_text, read_model, tensor_table
from tfxfer_edge.tflite.rewrites import add_uint8_ends, inline_buffers

__all__ = [
    "NAME",
    "Ranges",
    "calibrate",
    "quantize_by_rules",
    "quantize_static",
    "quantize_weights",
]

NAME = "quantizer"


def calibrate(graph: FrozenGraph, inputs: Prepared) -> Ranges:
    """Returns the ranges of all tensors; that of pixels is their contract's, not the images'.

    Found once for all recipes that calibrate a graph on the same samples.

    Raises:
        ConversionError: the float file does not run.
    """
    digest = hashlib.sha256()
    for values in inputs:
        digest.update(np.ascontiguousarray(values))
    key = (NAME, digest.digest())
    if key not in graph.memory:
        graph.memory[key] = _find_ranges(graph, inputs)
    return copy.deepcopy(cast("Ranges", graph.memory[key]))


def _find_ranges(graph: FrozenGraph, inputs: Prepared) -> Ranges:
    names = [item.name for item in graph.inputs]
    if rescales_inside(graph):
        inputs = add_extremes(graph, inputs)
    samples = {
        SIGNATURE: [
            {name: values[None] for name, values in zip(names, row, strict=True)}
            for row in zip(*inputs, strict=True)
        ]
    }
    try:
        with quiet():
            require_quantizer()
            ranges = find_ranges(graph.float_content, samples)
    except ConversionError:
        raise
    except Exception as error:  # what it raises promises nothing, either
        raise ConversionError(f"engine {NAME}: calibration failed: {_first(error)}") from error
    if graph.input_range is not None:
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
    content = _quantize(graph, recipe, ranges, keep_float)
    if recipe.activation_bits == 8:
        return add_uint8_ends(content)
    return inline_buffers(content)


def quantize_weights(graph: FrozenGraph, recipe: Recipe) -> bytes:
    """Returns the model with fewer bits for its weights, which are inside.

    Args:
        graph: what to convert.
        recipe: one without calibration.

    Raises:
        ConversionError: this engine cannot.
    """
    return inline_buffers(_quantize(graph, recipe, None))


def quantize_by_rules(graph: FrozenGraph, recipe: Recipe, ranges: Ranges | None) -> bytes:
    """Returns the model as a file of rules has it, weights inside, the ends as they come.

    Args:
        graph: what to convert.
        recipe: of kind `file`.
        ranges: from `calibrate`; None where the rules need none.

    Raises:
        ConversionError: this engine cannot, or no rule fits any operator of the model.
    """
    content = inline_buffers(_quantize(graph, recipe, ranges))
    if not _holds_steps(content):
        raise ConversionError(
            f"engine {NAME}: recipe {recipe.name!r} leaves all of model {graph.name!r} in float32: "
            "none of its rules fits an operator by name and kind."
        )
    return content


def _holds_steps(content: bytes) -> bool:
    return any(row.dtype == "float16" or row.scale for row in tensor_table(content))


def _quantize(
    graph: FrozenGraph,
    recipe: Recipe,
    ranges: Ranges | None,
    keep_float: Mapping[str, bool] | None = None,
) -> bytes:
    try:
        with quiet():
            require_quantizer()
            content = quantize_file(graph.float_content, list_rules(recipe, keep_float), ranges)
    except ConversionError:
        raise
    except Exception as error:  # its rules for operators raise what they like
        raise ConversionError(f"engine {NAME}: {_first(error)}") from error
    if content is None:
        raise ConversionError(f"engine {NAME}: wrote no model.")
    return content


def _input_name(graph: FrozenGraph) -> str:
    main = read_model(graph.float_content).subgraphs[0]
    return as_text(main.tensors[int(main.inputs[0])].name)


def _first(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
