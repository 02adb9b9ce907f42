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
