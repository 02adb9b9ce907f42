from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import (
    find_forbidden,
    list_operators,
    read_model,
    refuse_forbidden,
    tensor_table,
    write_model,
)

from .int8_files import invoke, quantize


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


@pytest.fixture(scope="module")
def signed(content: bytes) -> bytes:
    return quantize(content)


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


@pytest.mark.parametrize("graphs", [1, 40])
def test_a_file_of_few_bytes_and_many_parts_is_refused(
    monkeypatch: pytest.MonkeyPatch, graphs: int
) -> None:
    # One tensor that stands `tensors` times in a graph, which stands `graphs` times in the model.
    tensors = 400 // graphs
    builder = flatbuffers.Builder(0)
    schema.TensorStart(builder)
    tensor = schema.TensorEnd(builder)
    schema.SubGraphStartTensorsVector(builder, tensors)
    for _ in range(tensors):
        builder.PrependUOffsetTRelative(tensor)
    vector = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vector)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartBuffersVector(builder, 0)
    buffers = builder.EndVector()
    schema.ModelStartSubgraphsVector(builder, graphs)
    for _ in range(graphs):
        builder.PrependUOffsetTRelative(graph)
    vector = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, vector)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    content = bytes(builder.Output())
    parts = 400 + graphs
    monkeypatch.setattr("tfxfer_edge.tflite.flatbuffer._MOST_TABLES", parts)
    assert len(read_model(content).subgraphs) == graphs
    monkeypatch.setattr("tfxfer_edge.tflite.flatbuffer._MOST_TABLES", parts - 1)
    with pytest.raises(ModelError, match=f"at most {parts - 1} operators, tensors"):
        read_model(content)
