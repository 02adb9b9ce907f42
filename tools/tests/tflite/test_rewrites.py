from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge import freeze
from tfxfer_edge.tflite.flatbuffer import (
    list_operators,
    read_model,
)
from tfxfer_edge.tflite.rewrites import add_uint8_ends, inline_buffers
from tfxfer_edge.tflite.runtime import load_interpreter, verify

from .int8_files import invoke, quantize


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


@pytest.fixture(scope="module")
def signed(content: bytes) -> bytes:
    return quantize(content)


def test_external_weights_come_inside() -> None:
    # Under 256 KiB LiteRT Quantizer leaves the weights inside.
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Dense(1600)(keras.layers.Flatten()(pixels))
    graph = freeze(
        keras.Model(pixels, keras.layers.Dense(5, activation="softmax")(x)),
        preprocessing="in_graph",
    )
    external = quantize(graph.float_content)
    inside = inline_buffers(external)
    assert all(buffer.offset == 0 for buffer in read_model(inside).buffers)
    assert len(inside) > 1600 * 192
    np.testing.assert_array_equal(invoke(inside, 3), invoke(external, 3))
    # The control: what other programs see of the quantizer's own file.
    from ai_edge_litert import schema_py_generated as schema

    plain = schema.ModelT.InitFromObj(schema.Model.GetRootAs(external, 0))
    assert sum(len(x.data) for x in plain.buffers if x.data is not None) < 10_000
    with pytest.raises(ModelError, match="weights end at"):
        read_model(external[:-5000])


def test_uint8_ends_are_one_operator_each(signed: bytes) -> None:
    inside, ended = inline_buffers(signed), add_uint8_ends(signed)
    assert list_operators(ended) == ["QUANTIZE", *list_operators(inside), "QUANTIZE"]
    verify(ended)
    before, after = load_interpreter(inside), load_interpreter(ended)
    for method in ("get_input_details", "get_output_details"):
        (old,), (new,) = getattr(before, method)(), getattr(after, method)()
        assert (old["dtype"], new["dtype"]) == (np.int8, np.uint8)
        assert new["name"] == old["name"]
        assert new["quantization"][0] == old["quantization"][0]
        assert new["quantization"][1] == old["quantization"][1] + 128
    for value in (0, 100, 255):
        expected = invoke(inside, value - 128).astype(int) + 128
        np.testing.assert_array_equal(invoke(ended, value).astype(int), expected)


def test_the_signature_follows_the_new_ends(signed: bytes) -> None:
    runner = load_interpreter(add_uint8_ends(signed)).get_signature_runner("serving_default")
    assert runner.get_input_details()["image"]["dtype"] == np.uint8
    assert runner.get_output_details()["scores"]["dtype"] == np.uint8


def test_uint8_ends_twice_are_the_same_as_once(signed: bytes) -> None:
    once = add_uint8_ends(signed)
    assert list_operators(add_uint8_ends(once)) == list_operators(once)


def test_float_ends_cannot_become_uint8(content: bytes) -> None:
    with pytest.raises(ModelError, match="FLOAT32"):
        add_uint8_ends(content)
