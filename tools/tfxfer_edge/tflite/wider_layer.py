"""The last dense layer of a `.tflite` file gets further outputs; those that it had stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import write_model
from tfxfer_edge.tflite.last_layer import (
    BIASES,
    STORED,
    Place,
    find_place,
    read_range,
    read_scales,
    read_stored,
    set_range,
    set_scales,
    set_size,
    write_values,
)

__all__ = ["widen_dense"]

_INT8_MOST = 127
_ROOM = 0.1  # of the range of int8 logits, above the highest that was seen


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
    place = find_place(content)
    had = int(place.tensors[place.kernel].shape[0])
    _widen_kernel(place, kernel.T, had)
    if place.bias is not None:
        _widen_bias(place, bias, had)
    elif bias.any():
        raise ModelError("model: expected a layer with a bias. Received: one that adds none.")
    outputs = kernel.shape[1]
    for index in (*place.kernel_views, *place.bias_views):
        set_size(place.tensors[index], outputs, axis=0)
    for index in place.chain:
        set_size(place.tensors[index], outputs, axis=-1)
    _make_room(place.tensors[place.chain[0]], highest)
    return write_model(place.model)


def _widen_kernel(place: Place, rows: np.ndarray, had: int) -> None:
    """Writes the rows after those that are there."""
    tensor = place.tensors[place.kernel]
    stored, scale = read_stored(place, place.kernel, STORED), read_scales(tensor)
    new = rows[had:]
    if stored.dtype != np.int8:
        write_values(place, place.kernel, np.concatenate([stored, new.astype(stored.dtype)]))
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
    write_values(place, place.kernel, np.concatenate([stored, steps]))
    set_scales(tensor, scale)


def _widen_bias(place: Place, bias: np.ndarray, had: int) -> None:
    assert place.bias is not None
    tensor = place.tensors[place.bias]
    stored = read_stored(place, place.bias, BIASES)
    if stored.dtype.kind == "f":
        write_values(place, place.bias, np.concatenate([stored, bias[had:].astype(stored.dtype)]))
        return
    # Of integers one step is a step of the features times one of the weights.
    before, scale = read_scales(tensor), read_scales(place.tensors[place.source])
    scale = scale * read_scales(place.tensors[place.kernel])
    steps = np.rint(bias / scale).astype(stored.dtype)
    if len(scale) > 1 or before[0] == np.float32(scale[0]):
        steps[:had] = stored
    write_values(place, place.bias, steps)
    set_scales(tensor, scale)


def _make_room(tensor: Any, highest: float) -> None:
    """Widens the range of integer logits upwards, where it is too small."""
    if not len(read_scales(tensor)):
        return
    low, high = read_range(tensor)
    if highest > high:
        set_range(tensor, low, highest + _ROOM * (highest - low))
