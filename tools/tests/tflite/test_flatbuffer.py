from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge import freeze
from tfxfer_edge.tflite.flatbuffer import (
    find_forbidden,
    list_operators,
    read_model,
    refuse_forbidden,
    tensor_table,
    write_model,
)
from tfxfer_edge.tflite.rewrites import add_uint8_ends, inline_buffers
from tfxfer_edge.tflite.runtime import load_interpreter, verify


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


def quantize(content: bytes) -> bytes:
    """Returns the file as LiteRT Quantizer writes it: int8 at the ends."""
    from litert_quantizer import quantizer, recipe

    from tfxfer_edge.conversion.quiet import quiet

    ranges = {
        row.name: {"min": np.array([-1.0]), "max": np.array([1.0])}
        for row in tensor_table(content)
        if not row.is_constant
    }
    with quiet():
        tool = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        made = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(made.quantized_model)


@pytest.fixture(scope="module")
def signed(content: bytes) -> bytes:
    return quantize(content)


def invoke(content: bytes, value: int) -> np.ndarray:
    interpreter = load_interpreter(content)
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.full(detail["shape"], value, detail["dtype"]))
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def test_equal_vectors_are_written_once(signed: bytes) -> None:
    model = read_model(signed)
    written = write_model(model)
    zeros = sum(
        tensor.quantization.zeroPoint.nbytes
        for tensor in model.subgraphs[0].tensors
        if tensor.quantization is not None
        and tensor.quantization.zeroPoint is not None
        and len(tensor.quantization.zeroPoint) > 1
    )
    assert len(written) < len(signed) - zeros / 2
    again = read_model(written)
    pairs = zip(model.subgraphs[0].tensors, again.subgraphs[0].tensors, strict=True)
    for before, after in pairs:
        for name in ("scale", "zeroPoint"):
            vectors = [getattr(x.quantization, name, None) for x in (before, after)]
            np.testing.assert_array_equal(*vectors)
        np.testing.assert_array_equal(before.shape, after.shape)
    np.testing.assert_array_equal(invoke(signed, 7), invoke(written, 7))


def test_reading_and_writing_changes_nothing(content: bytes) -> None:
    again = write_model(read_model(content))
    assert tensor_table(again) == tensor_table(content)
    assert list_operators(again) == list_operators(content)
    np.testing.assert_array_equal(invoke(again, 1), invoke(content, 1))


def test_weights_are_aligned_as_the_schema_asks(content: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    again = write_model(read_model(content))
    model = schema.Model.GetRootAs(again, 0)
    starts = []
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if not isinstance(data, int) and len(data):
            starts.append(data.__array_interface__["data"][0])
    base = np.frombuffer(again, np.uint8).__array_interface__["data"][0]
    assert len(starts) > 5
    assert {(start - base) % 16 for start in starts} == {0}


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


def test_the_table_knows_weights_and_shapes(content: bytes) -> None:
    rows = tensor_table(content)
    assert [row.index for row in rows] == list(range(len(rows)))
    image = next(row for row in rows if "image" in row.name)
    assert (image.shape, image.dtype, image.is_constant) == ((1, 64, 64, 3), "float32", False)
    assert sum(row.is_constant for row in rows) >= 8


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
def test_a_truncated_file_is_one_clear_error(content: bytes, share: float) -> None:
    with pytest.raises(ModelError, match="bytes"):
        read_model(content[: int(share * len(content))])


def test_a_photo_is_no_model() -> None:
    with pytest.raises(ModelError, match="TFL3"):
        read_model(b"\xff\xd8\xff\xe0" + bytes(100))


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


def test_custom_operators_are_refused_by_name(content: bytes) -> None:
    assert find_forbidden(content) == ()
    refuse_forbidden(content)
    model = read_model(content)
    code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = "FlexErfinv"
    broken = write_model(model)
    assert find_forbidden(broken)[0][0] == "FlexErfinv"
    assert list_operators(broken)[-1] == "CUSTOM:FlexErfinv"
    with pytest.raises(ModelError, match=r"FlexErfinv \(makes '.+'\)"):
        refuse_forbidden(broken)
