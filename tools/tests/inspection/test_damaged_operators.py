"""Files whose graph is sound, and whose operators are not what their kind asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.tflite_file import inspect_tflite
from tfxfer_edge.tflite.flatbuffer import read_model, write_model

from .single_operators import TYPES, make_files


def take_outputs(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = []
    for operator in graph.operators:
        operator.outputs = []


def take_inputs(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        operator.inputs = []


def leave_out_inputs(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        operator.inputs = [-1] * len(operator.inputs)


def take_scales(value: float) -> Callable[[Any], None]:
    def damage(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            if tensor.quantization is not None and tensor.quantization.scale is not None:
                tensor.quantization.scale = np.full(
                    len(tensor.quantization.scale), value, np.float32
                )

    return damage


def take_zero_points(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None:
            tensor.quantization.zeroPoint = None


def take_shapes(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is None:
            tensor.shape = tensor.shapeSignature = None


def take_options(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        operator.builtinOptions, operator.builtinOptionsType = None, 0


DAMAGES = {
    "no outputs": take_outputs,
    "no inputs": take_inputs,
    "inputs left out": leave_out_inputs,
    "scales of 0": take_scales(0.0),
    "scales of NaN": take_scales(float("nan")),
    "no zero points": take_zero_points,
    "no shapes": take_shapes,
    "no options": take_options,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_what_an_operator_lacks_is_told_or_refused(damage: Callable[[Any], None]) -> None:
    told = 0
    for dtype in TYPES:
        for name, content in make_files(dtype):
            model = read_model(content)
            damage(model)
            try:
                document = inspect_tflite(write_model(model))
            except ModelError:
                continue
            told += 1
            kinds = [row["operator"] for row in document["operators"]]
            assert any(name.startswith(kind) for kind in kinds), name
    assert told
