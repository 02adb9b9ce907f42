"""The last dense layer of a `.tflite` file gets other weights; the network before it stays."""

from __future__ import annotations

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import type_name, write_model
from tfxfer_edge.tflite.last_layer import (
    BIASES,
    ENDS,
    STORED,
    Place,
    find_place,
    read_range,
    read_scales,
    read_stored,
    set_range,
    set_scales,
    write_values,
)

__all__ = ["replace_dense", "round_rows"]

_MOST_BIAS = 1 << 30  # half of what 32 bits hold
_INT8_MOST = 127


def replace_dense(
    content: bytes, kernel: np.ndarray, bias: np.ndarray, *, low: float, high: float
) -> bytes:
    """Returns the same file with other weights in its last layer, rounded as those were.

    What is packed behind the file is left out.

    Args:
        content: the file.
        kernel: in real numbers.
        bias: the same.
        low: of the logits, for which integers must have room.
        high: the same.

    Shapes: kernel (features, outputs), bias (outputs,).

    Raises:
        ModelError: the file does not end in a dense layer and a softmax or sigmoid, or its weights
            have another shape.
    """
    place = find_place(content, ends=ENDS)
    stored, weights = read_stored(place, place.kernel, STORED), place.tensors[place.kernel]
    if stored.shape != kernel.T.shape:
        raise ModelError(
            f"model: expected a last layer of shape {kernel.shape}. Received: {stored.T.shape}."
        )
    if stored.dtype == np.int8:
        source = read_scales(place.tensors[place.source])
        steps, scale = round_rows(
            kernel.T,
            is_shared=len(read_scales(weights)) == 1,
            least=np.abs(bias) / (_MOST_BIAS * source) if len(source) else 0.0,
        )
        write_values(place, place.kernel, steps)
        set_scales(weights, scale)
    else:
        write_values(place, place.kernel, np.ascontiguousarray(kernel.T.astype(stored.dtype)))
    index = _add_bias(place) if place.bias is None else place.bias
    kind = BIASES[type_name(place.tensors[index])]
    if np.dtype(kind).kind == "f":
        write_values(place, index, bias.astype(kind))
    else:
        # Of integers one step is a step of the features times one of the weights.
        scale = read_scales(place.tensors[place.source]) * read_scales(weights)
        write_values(place, index, np.rint(bias / scale).astype(kind))
        set_scales(place.tensors[index], scale)
    logits = place.tensors[place.chain[0]]
    if len(read_scales(logits)):
        had_low, had_high = read_range(logits)
        if low < had_low or high > had_high:
            set_range(logits, min(low, had_low), max(high, had_high))
    return write_model(place.model)


def _add_bias(place: Place) -> int:
    """Returns the tensor of a bias for a layer that has none: converters leave zeros out."""
    from ai_edge_litert import schema_py_generated as schema

    weights = place.tensors[place.kernel]
    # Weights in 8 bits may stand beside features in float: then the bias is one, too.
    is_integer = bool(len(read_scales(place.tensors[place.source])))
    tensor = schema.TensorT()
    tensor.name, tensor.shape = b"refitted_bias", [int(weights.shape[0])]
    tensor.type = schema.TensorType.INT32 if is_integer else schema.TensorType.FLOAT32
    if is_integer:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.zeroPoint = [0] * len(read_scales(weights))
    place.tensors.append(tensor)
    index = len(place.tensors) - 1
    place.operator.inputs = [*(int(x) for x in place.operator.inputs[:2]), index]
    return index


def round_rows(
    rows: np.ndarray, *, is_shared: bool, least: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights as int8, symmetrical, and the real units of a step.

    Args:
        rows: one an output.
        is_shared: whether all rows have one scale.
        least: steps that are no smaller, of each row: a bias is counted in them, in 32 bits.

    Shapes: rows (outputs, features).

    Example:
        >>> steps, scale = round_rows(np.array([[1.27, -0.5]]), is_shared=False)
        >>> steps.tolist(), [round(float(x), 4) for x in scale]
        ([[127, -50]], [0.01])
    """
    largest = np.abs(rows).max(axis=1)
    if is_shared:
        largest = largest.max(keepdims=True)
    scale = np.maximum(largest, np.finfo(np.float32).tiny) / _INT8_MOST
    scale = np.maximum(scale, np.max(least) if is_shared else least)
    return np.rint(rows / scale[:, None]).astype(np.int8), scale
