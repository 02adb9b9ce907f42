"""The dense layer before the softmax or sigmoid that ends a `.tflite` file: found and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import operator_names, read_model, type_name, write_model

__all__ = [
    "BIASES",
    "ENDS",
    "STORED",
    "Place",
    "cut_features",
    "find_end",
    "find_place",
    "read_dense",
    "read_range",
    "read_scales",
    "read_stored",
    "set_range",
    "set_scales",
    "set_size",
    "write_values",
]

ENDS = ("SOFTMAX", "LOGISTIC")
"""What a file may make of its logits."""
_PASSES_ON = ("DEQUANTIZE", "QUANTIZE")
STORED = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8}
"""What the kernel may be held in, and as what it is read."""
BIASES = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "INT64": np.int64}
"""The same of the bias."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where the layer is.

    Args:
        model: the file, a `ModelT`.
        source: tensor of the features.
        kernel: tensor that holds the weights, (outputs, features).
        kernel_views: tensors that are computed from it, such as float32 of float16.
        bias: the same of the bias; None where the layer adds none.
        bias_views: tensors that are computed from it.
        chain: tensors from the layer's own output to the file's, in order.
        operator: the layer itself.
        end: what is made of the logits, of `ENDS`.
    """

    model: Any
    source: int
    kernel: int
    kernel_views: tuple[int, ...]
    bias: int | None
    bias_views: tuple[int, ...]
    chain: tuple[int, ...]
    operator: Any
    end: str

    @property
    def tensors(self) -> Any:
        """All of the graph."""
        return self.model.subgraphs[0].tensors


def read_dense(
    content: bytes, *, ends: tuple[str, ...] = ENDS[:1]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel and the bias of the layer, in real numbers.

    Args:
        content: the file.
        ends: what may follow the layer, of `ENDS`.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: the file does not end in a dense layer and one of them.
    """
    place = find_place(content, ends=ends)
    kernel = _read(place, place.kernel, STORED)
    bias = np.zeros(len(kernel)) if place.bias is None else _read(place, place.bias, BIASES)
    return kernel.T, bias


def cut_features(content: bytes, *, ends: tuple[str, ...] = ENDS[:1]) -> bytes:
    """Returns a file of the same inputs whose output is what the layer takes.

    Args:
        content: the file.
        ends: see `read_dense`.

    Raises:
        ModelError: see `read_dense`.
    """
    place = find_place(content, ends=ends)
    model, graph = place.model, place.model.subgraphs[0]
    needed, kept = {place.source}, []
    for operator in reversed(graph.operators):
        if needed & {int(x) for x in operator.outputs}:
            needed |= {int(x) for x in operator.inputs if x >= 0}
            kept.append(operator)
    graph.operators = kept[::-1]
    graph.outputs = [place.source]
    for signature in model.signatureDefs or []:
        for entry in signature.outputs or []:
            entry.tensorIndex = place.source
    return write_model(model)


def find_end(content: bytes) -> str:
    """Returns what a file makes of its logits, of `ENDS`.

    Raises:
        ModelError: see `read_dense`.
    """
    return find_place(content, ends=ENDS).end


def find_place(content: bytes, *, ends: tuple[str, ...] = ENDS[:1]) -> Place:
    """Returns where the layer is, in a model that may be changed.

    Args:
        content: the file.
        ends: see `read_dense`.

    Raises:
        ModelError: see `read_dense`.
    """
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)
    makers = {int(made): x for x in graph.operators or [] for made in x.outputs}

    def step(index: int, wanted: tuple[str, ...]) -> Any:
        operator = makers.get(index)
        name = None if operator is None else names[operator.opcodeIndex]
        return operator if name in wanted else None

    words = " or ".join(end.lower() for end in ends)
    chain = [int(graph.outputs[0])]

    def follow(*wanted: str) -> Any:
        while (operator := step(chain[0], _PASSES_ON)) is not None:
            chain.insert(0, int(operator.inputs[0]))
        operator = step(chain[0], wanted)
        if operator is None:
            raise ModelError(
                f"model: expected a file that ends in a dense layer and a {words}. "
                "Received: one that ends otherwise."
            )
        return operator

    end = follow(*ends)
    chain.insert(0, int(end.inputs[0]))
    dense = follow("FULLY_CONNECTED")

    def find_stored(index: int) -> tuple[int, tuple[int, ...]]:
        operator = step(index, ("DEQUANTIZE",))
        return (index, ()) if operator is None else (int(operator.inputs[0]), (index,))

    inputs = [int(x) for x in dense.inputs]
    kernel, kernel_views = find_stored(inputs[1])
    has_bias = len(inputs) > 2 and inputs[2] >= 0
    bias, bias_views = find_stored(inputs[2]) if has_bias else (None, ())
    return Place(
        model, inputs[0], kernel, kernel_views, bias, bias_views, tuple(chain),
        dense, names[end.opcodeIndex],
    )  # fmt: skip


def read_stored(place: Place, index: int, kinds: dict[str, Any]) -> np.ndarray:
    """Returns a constant as the file holds it.

    Raises:
        ModelError: it is of another kind than `kinds`, or not in the file.
    """
    tensor = place.tensors[index]
    data, kind = place.model.buffers[tensor.buffer].data, type_name(tensor)
    if kind not in kinds or data is None or not len(data):
        raise ModelError(
            f"model: expected weights of {', '.join(kinds)} in its last dense layer. "
            f"Received: {kind}."
        )
    values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), kinds[kind])
    return values.reshape([int(x) for x in tensor.shape])


def _read(place: Place, index: int, kinds: dict[str, Any]) -> np.ndarray:
    """Returns what a constant stands for, float64."""
    values = read_stored(place, index, kinds).astype(np.float64)
    scale = read_scales(place.tensors[index])
    if not len(scale):
        return values
    return values * scale.reshape(-1, *[1] * (values.ndim - 1))


def read_scales(tensor: Any) -> np.ndarray:
    """Returns the real units of a step, one of all or one a channel; none where it is float."""
    quantization = tensor.quantization
    found = None if quantization is None else quantization.scale
    return np.zeros(0) if found is None else np.asarray(found, np.float64)


def write_values(place: Place, index: int, values: np.ndarray) -> None:
    """Gives a tensor other values, in a buffer of its own: others may share the one it has."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    place.model.buffers.append(buffer)
    tensor = place.tensors[index]
    tensor.buffer = len(place.model.buffers) - 1
    set_size(tensor, len(values), axis=0)


def set_size(tensor: Any, size: int, *, axis: int) -> None:
    """Gives a tensor another size along one axis."""
    for name in ("shape", "shapeSignature"):
        found = getattr(tensor, name)
        if found is not None and len(found):
            sizes = [int(x) for x in found]
            sizes[axis] = size
            setattr(tensor, name, sizes)


def set_scales(tensor: Any, scale: np.ndarray) -> None:
    """Gives an integer tensor other real units of a step."""
    zeros = tensor.quantization.zeroPoint
    tensor.quantization.scale = [float(x) for x in scale]
    if zeros is not None and len(zeros) != len(scale):
        tensor.quantization.zeroPoint = [0] * len(scale)
    # What a range was before it became steps nobody reads any more, and it would be another now.
    tensor.quantization.min = tensor.quantization.max = None


def read_range(tensor: Any) -> tuple[float, float]:
    """Returns the lowest and the highest real value that an integer tensor can hold."""
    limits = np.iinfo(type_name(tensor).lower())
    zero = int(tensor.quantization.zeroPoint[0])
    low, high = (read_scales(tensor)[0] * (limit - zero) for limit in (limits.min, limits.max))
    return float(low), float(high)


def set_range(tensor: Any, low: float, high: float) -> None:
    """Spreads the steps of an integer tensor over a range."""
    limits = np.iinfo(type_name(tensor).lower())
    if type_name(tensor) == "INT16":  # is symmetrical
        step, zero = max(high, -low) / limits.max, 0
    else:
        step = (high - low) / (int(limits.max) - int(limits.min))
        zero = round(limits.min - low / step)
    set_scales(tensor, np.array([step]))
    tensor.quantization.zeroPoint = [zero]
