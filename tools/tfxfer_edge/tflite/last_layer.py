"""The dense layer before the softmax that ends a `.tflite` file: read, cut off, and made wider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import operator_names, read_model, type_name, write_model

__all__ = ["cut_features", "read_dense", "widen_dense"]

_PASSES_ON = ("DEQUANTIZE", "QUANTIZE")
_INT8_MOST = 127
_ROOM = 0.1  # of the range of int8 logits, above the highest that was seen
_STORED = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8}
_BIASES = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "INT64": np.int64}


@dataclass(frozen=True, eq=False)
class _Place:
    """Where the layer is.

    Args:
        model: the file, a `ModelT`.
        source: tensor of the features.
        kernel: tensor that holds the weights, (outputs, features).
        kernel_views: tensors that are computed from it, such as float32 of float16.
        bias: the same of the bias; None where the layer adds none.
        bias_views: tensors that are computed from it.
        chain: tensors from the layer's own output to the file's, in order.
    """

    model: Any
    source: int
    kernel: int
    kernel_views: tuple[int, ...]
    bias: int | None
    bias_views: tuple[int, ...]
    chain: tuple[int, ...]

    @property
    def tensors(self) -> Any:
        return self.model.subgraphs[0].tensors


def read_dense(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Returns the kernel and the bias of the layer, in real numbers.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: the file does not end in a dense layer and a softmax.
    """
    place = _find(content)
    kernel = _read(place, place.kernel, _STORED)
    bias = np.zeros(len(kernel)) if place.bias is None else _read(place, place.bias, _BIASES)
    return kernel.T, bias


def cut_features(content: bytes) -> bytes:
    """Returns a file of the same inputs whose output is what the layer takes.

    Raises:
        ModelError: see `read_dense`.
    """
    place = _find(content)
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


def widen_dense(content: bytes, kernel: np.ndarray, bias: np.ndarray, *, highest: float) -> bytes:
    """Returns the same file with further outputs, and without what is packed behind it.

    Weights of the outputs that it had stay bit for bit, but where one scale holds for all of them
    and the new ones need a larger.

    Args:
        content: the file.
        kernel: of all outputs, the new ones last.
        bias: the same.
        highest: logit of a new output, for which integers must have room.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: see `read_dense`; or a layer without a bias that is to get one.
    """
    place = _find(content)
    had = int(place.tensors[place.kernel].shape[0])
    _widen_kernel(place, kernel.T, had)
    if place.bias is not None:
        _widen_bias(place, bias, had)
    elif bias.any():
        raise ModelError("model: expected a layer with a bias. Received: one that adds none.")
    outputs = kernel.shape[1]
    for index in (*place.kernel_views, *place.bias_views):
        _set_size(place.tensors[index], outputs, axis=0)
    for index in place.chain:
        _set_size(place.tensors[index], outputs, axis=-1)
    _make_room(place.tensors[place.chain[0]], highest)
    return write_model(place.model)


def _find(content: bytes) -> _Place:
    model = read_model(content)
    graph, names = model.subgraphs[0], operator_names(model)
    makers = {int(made): x for x in graph.operators or [] for made in x.outputs}

    def step(index: int, wanted: tuple[str, ...]) -> Any:
        operator = makers.get(index)
        name = None if operator is None else names[operator.opcodeIndex]
        return operator if name in wanted else None

    chain = [int(graph.outputs[0])]

    def follow(*wanted: str) -> Any:
        while (operator := step(chain[0], _PASSES_ON)) is not None:
            chain.insert(0, int(operator.inputs[0]))
        operator = step(chain[0], wanted)
        if operator is None:
            raise ModelError(
                "model: expected a file that ends in a dense layer and a softmax. "
                "Received: one that ends otherwise."
            )
        return operator

    softmax = follow("SOFTMAX")
    chain.insert(0, int(softmax.inputs[0]))
    dense = follow("FULLY_CONNECTED")

    def find_stored(index: int) -> tuple[int, tuple[int, ...]]:
        operator = step(index, ("DEQUANTIZE",))
        return (index, ()) if operator is None else (int(operator.inputs[0]), (index,))

    inputs = [int(x) for x in dense.inputs]
    kernel, kernel_views = find_stored(inputs[1])
    has_bias = len(inputs) > 2 and inputs[2] >= 0
    bias, bias_views = find_stored(inputs[2]) if has_bias else (None, ())
    return _Place(model, inputs[0], kernel, kernel_views, bias, bias_views, tuple(chain))


def _read_stored(place: _Place, index: int, kinds: dict[str, Any]) -> np.ndarray:
    tensor = place.tensors[index]
    data, kind = place.model.buffers[tensor.buffer].data, type_name(tensor)
    if kind not in kinds or data is None or not len(data):
        raise ModelError(
            f"model: expected weights of {', '.join(kinds)} in its last dense layer. "
            f"Received: {kind}."
        )
    values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), kinds[kind])
    return values.reshape([int(x) for x in tensor.shape])


def _read(place: _Place, index: int, kinds: dict[str, Any]) -> np.ndarray:
    """Returns what a constant stands for, float64."""
    values = _read_stored(place, index, kinds).astype(np.float64)
    scale = _scales(place.tensors[index])
    if not len(scale):
        return values
    return values * scale.reshape(-1, *[1] * (values.ndim - 1))


def _scales(tensor: Any) -> np.ndarray:
    quantization = tensor.quantization
    found = None if quantization is None else quantization.scale
    return np.zeros(0) if found is None else np.asarray(found, np.float64)


def _widen_kernel(place: _Place, rows: np.ndarray, had: int) -> None:
    """Writes the rows after those that are there."""
    tensor = place.tensors[place.kernel]
    stored, scale = _read_stored(place, place.kernel, _STORED), _scales(tensor)
    new = rows[had:]
    if stored.dtype != np.int8:
        _write(place, place.kernel, np.concatenate([stored, new.astype(stored.dtype)]))
        return
    largest = np.maximum(np.abs(new).max(axis=1), np.finfo(np.float32).tiny) / _INT8_MOST
    if len(scale) == 1:
        if largest.max() > scale[0]:  # one scale for all: those that were there move, too
            scale = largest.max(keepdims=True)
            stored = np.rint(rows[:had] / scale).astype(np.int8)
        added = scale
    else:
        added = largest
        scale = np.concatenate([scale, added])
    steps = np.rint(new / added[:, None]).astype(np.int8)
    _write(place, place.kernel, np.concatenate([stored, steps]))
    _set_scales(tensor, scale)


def _widen_bias(place: _Place, bias: np.ndarray, had: int) -> None:
    assert place.bias is not None
    tensor = place.tensors[place.bias]
    stored = _read_stored(place, place.bias, _BIASES)
    if stored.dtype.kind == "f":
        _write(place, place.bias, np.concatenate([stored, bias[had:].astype(stored.dtype)]))
        return
    # Of integers one step is a step of the features times one of the weights.
    before, scale = _scales(tensor), _scales(place.tensors[place.source])
    scale = scale * _scales(place.tensors[place.kernel])
    steps = np.rint(bias / scale).astype(stored.dtype)
    if len(scale) > 1 or before[0] == np.float32(scale[0]):
        steps[:had] = stored
    _write(place, place.bias, steps)
    _set_scales(tensor, scale)


def _make_room(tensor: Any, highest: float) -> None:
    """Widens the range of integer logits upwards, where it is too small."""
    scale = _scales(tensor)
    if not len(scale):
        return
    limits = np.iinfo(type_name(tensor).lower())
    zero = int(tensor.quantization.zeroPoint[0])
    low, high = (scale[0] * (limit - zero) for limit in (limits.min, limits.max))
    if highest <= high:
        return
    high = highest + _ROOM * (highest - low)
    step = (high - low) / (int(limits.max) - int(limits.min))
    if type_name(tensor) == "INT16":  # is symmetrical
        step, zero = high / limits.max, 0
    else:
        zero = round(limits.min - low / step)
    _set_scales(tensor, np.array([step]))
    tensor.quantization.zeroPoint = [zero]


def _write(place: _Place, index: int, values: np.ndarray) -> None:
    """Gives a tensor other values, in a buffer of its own: others may share the one it has."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    place.model.buffers.append(buffer)
    tensor = place.tensors[index]
    tensor.buffer = len(place.model.buffers) - 1
    _set_size(tensor, len(values), axis=0)


def _set_size(tensor: Any, size: int, *, axis: int) -> None:
    for name in ("shape", "shapeSignature"):
        found = getattr(tensor, name)
        if found is not None and len(found):
            sizes = [int(x) for x in found]
            sizes[axis] = size
            setattr(tensor, name, sizes)


def _set_scales(tensor: Any, scale: np.ndarray) -> None:
    zeros = tensor.quantization.zeroPoint
    tensor.quantization.scale = [float(x) for x in scale]
    if zeros is not None and len(zeros) != len(scale):
        tensor.quantization.zeroPoint = [0] * len(scale)
    # What a range was before it became steps nobody reads any more, and it would be another now.
    tensor.quantization.min = tensor.quantization.max = None
