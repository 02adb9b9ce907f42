"""Types and shapes of the tensors of an ONNX graph, as `onnx` works them out, and what follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Shapes", "count_onnx_multiplications", "infer_shapes", "type_name"]

Shapes = Mapping[str, tuple[str, tuple[int, ...]]]
"""Type and sizes of each tensor whose sizes are all known, by name; a free size is 1."""

_SMALL = 1024  # values: those that shapes are computed from are no more
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")
_UNKNOWN = frozenset(
    [
        "Attention",
        "DeformConv",
        "Einsum",
        "If",
        "LinearAttention",
        "Loop",
        "RotaryEmbedding",
        "Scan",
        "SequenceMap",
    ]
)
"""What takes multiplications that this module does not count, or graphs that it does not enter."""


def infer_shapes(model: Any) -> Shapes:
    """Returns what is known of the tensors of the main graph.

    Args:
        model: a `ModelProto`; it stays as it is.
    """
    import onnx

    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    given = {item.name for item in model.graph.initializer}
    for tensor in model.graph.initializer:
        found[tensor.name] = (type_name(tensor.data_type), tuple(tensor.dims))
        if math.prod(tensor.dims) <= _SMALL:
            light.graph.initializer.append(tensor)
        else:  # of a kernel the sizes are enough: it would be copied twice
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for value in model.graph.input:
        if value.name not in given:
            light.graph.input.append(value)
            shape = light.graph.input[-1].type.tensor_type.shape
            for dim in shape.dim:
                if not dim.HasField("dim_value"):
                    dim.dim_value = 1
    for value in (*light.graph.output, *light.graph.value_info):
        # Names of free sizes would contradict the 1 that they are now.
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    # Errors of C++ arrive as several classes; what is not known is left out, and said.
    except Exception:  # noqa: BLE001
        inferred = light.graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(x.HasField("dim_value") for x in tensor.shape.dim):
            sizes = tuple(x.dim_value for x in tensor.shape.dim)
            found.setdefault(value.name, (type_name(tensor.elem_type), sizes))
    return found


def count_onnx_multiplications(node: Any, shapes: Shapes) -> int | None:
    """Returns the multiply-accumulates of one run of a node; None where they cannot be told.

    Counted as of TFLite operators, see `count_multiplications`.

    Args:
        node: a `NodeProto`.
        shapes: of the graph's tensors.

    Source:
        Operators of ONNX: weights of Conv are (out, in / groups, …), of ConvTranspose (in, out /
        groups, …), of LSTM, GRU and RNN (directions, gates · hidden, in) and (…, hidden).
    """
    if node.domain not in _STANDARD or node.op_type in _UNKNOWN:
        return None
    count = _COUNTS.get(node.op_type)
    if count is None:
        return 0
    try:
        return count(node, shapes)
    except (KeyError, IndexError):  # a shape that is not known, or too short
        return None


def type_name(number: int) -> str:
    """Returns the name of a type; a newer ONNX may have more of them."""
    import onnx

    try:
        name = onnx.TensorProto.DataType.Name(number).lower()
    except ValueError:
        return f"type {number}"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _shape(node: Any, shapes: Shapes, number: int) -> tuple[int, ...]:
    return shapes[node.input[number]][1]


def _made(node: Any, shapes: Shapes) -> tuple[int, ...]:
    return shapes[node.output[0]][1]


def _convolution(weights: int) -> Callable[[Any, Shapes], int]:
    def count(node: Any, shapes: Shapes) -> int:
        made = _made(node, shapes)
        return made[0] * math.prod(made[2:]) * math.prod(_shape(node, shapes, weights))

    return count


def _transposed(node: Any, shapes: Shapes) -> int:
    read = _shape(node, shapes, 0)
    return read[0] * math.prod(read[2:]) * math.prod(_shape(node, shapes, 1))


def _general_product(node: Any, shapes: Shapes) -> int:
    is_turned = any(x.name == "transA" and x.i for x in node.attribute)
    return math.prod(_made(node, shapes)) * _shape(node, shapes, 0)[0 if is_turned else 1]


def _product(node: Any, shapes: Shapes) -> int:
    return math.prod(_made(node, shapes)) * _shape(node, shapes, 0)[-1]


def _recurrence(node: Any, shapes: Shapes) -> int:
    steps = math.prod(_shape(node, shapes, 0)[:2])
    return steps * sum(math.prod(_shape(node, shapes, number)) for number in (1, 2))


_COUNTS: Mapping[str, Callable[[Any, Shapes], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "ConvTranspose": _transposed,
    "GRU": _recurrence,
    "Gemm": _general_product,
    "LSTM": _recurrence,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearConv": _convolution(3),
    "QLinearMatMul": _product,
    "RNN": _recurrence,
}
