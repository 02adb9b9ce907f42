from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import (
    read_model,
    write_model,
)
from tfxfer_edge.tflite.runtime import verify


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


def test_a_damaged_graph_does_not_verify(content: bytes) -> None:
    model = read_model(content)
    model.subgraphs[0].operators[0].inputs = [0]
    with pytest.raises(ModelError, match="LiteRT"):
        verify(write_model(model))


def test_a_file_of_nan_does_not_verify(content: bytes) -> None:
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type == 0 and data is not None and len(data):
            bad = np.frombuffer(bytes(data), np.float32) * np.float32(np.nan)
            model.buffers[tensor.buffer].data = np.frombuffer(bad.tobytes(), np.uint8)
    with pytest.raises(ModelError, match="NaN"):
        verify(write_model(model))


def test_what_zeros_alone_make_nan_is_no_fault() -> None:
    import keras

    from tfxfer_edge import convert

    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(pixels)
    # The length of zeros is 0, and that of a photo is not.
    x = keras.layers.Lambda(lambda x: x / keras.ops.norm(x, axis=-1, keepdims=True))(x)
    model = keras.Model(pixels, keras.layers.Dense(2)(x))
    made = convert(model, recipe="float32", preprocessing="in_graph")
    verify(made.content)
