"""Which tensor stands for which: by names, by places, and not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.operators import GraphTensor
from tfxfer_edge.inspection.twins import (
    Graph,
    check_origin,
    dequantize,
    find_twins,
    quantize,
    read_graph,
)
from tfxfer_edge.tflite.flatbuffer import read_model, write_model

from ..tflite import int8_files
from .built_files import BuiltFile


def read(content: bytes) -> Graph:
    return read_graph(bytes(content), source="x")


@pytest.fixture(scope="module")
def exact(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


@pytest.fixture(scope="module")
def rounded(exact: bytes) -> bytes:
    return int8_files.quantize(exact)


def rename(content: bytes) -> bytes:
    model = read_model(content)
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = f"renamed_{number}"
    return write_model(model)


def scale_weights(content: bytes, kinds: tuple[str, ...], factor: float) -> bytes:
    """Returns a float file whose kernels are others."""
    model, graph = read_model(content), read(content)
    for operator in graph.operators:
        kernel = operator.input(1)
        if operator.kind in kinds and kernel is not None:
            data = model.buffers[kernel.buffer].data
            values = np.frombuffer(data.tobytes(), np.float32) * np.float32(factor)
            model.buffers[kernel.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    return write_model(model)


def made_by(graph: Graph) -> list[int]:
    return [x.index for operator in graph.operators for x in operator.outputs]


def test_each_tensor_that_is_computed_has_its_twin_by_name(exact: bytes, rounded: bytes) -> None:
    graph, other = read(rounded), read(exact)
    twins = find_twins(graph, other)
    assert set(made_by(graph)) | set(graph.inputs) <= set(twins)
    for mine, theirs in twins.items():
        assert graph.tensors[mine].shape == other.tensors[theirs].shape
    named = [i for i in made_by(graph) if graph.tensors[i].name == other.tensors[twins[i]].name]
    assert len(named) >= len(other.operators)


def test_where_names_differ_places_tell(exact: bytes, rounded: bytes) -> None:
    other = read(exact)
    expected = find_twins(read(rounded), other)
    assert find_twins(read(rename(rounded)), other) == expected


def test_inputs_in_another_order_are_told_by_their_names() -> None:
    def make(*order: int) -> Graph:
        file = BuiltFile()
        ends = [file.add_tensor(1, 4) for _ in range(2)]
        made = file.add_tensor(1, 4)
        file.add_operator("SUB", ends, [made], schema.SubOptionsT())
        return read(file.to_bytes([ends[number] for number in order], [made]))

    assert find_twins(make(1, 0), make(0, 1)) == {0: 0, 1: 1, 2: 2}


def test_without_names_another_sequence_of_operators_tells_nothing(exact: bytes) -> None:
    """The control: the last operator is left out, and places are not to be trusted any more."""
    model = read_model(rename(exact))
    graph = model.subgraphs[0]
    last = graph.operators.pop()
    graph.outputs = [last.inputs[0]]
    twins = find_twins(read(write_model(model)), read(exact))
    assert set(twins) == {*graph.inputs, *([graph.outputs[0]] if len(twins) > 1 else [])}


def test_a_conversion_has_the_twin_of_what_it_converts() -> None:
    plain, mixed = BuiltFile(), BuiltFile()
    source, made = plain.add_tensor(1, 8), plain.add_tensor(1, 8)
    plain.add_operator("LOGISTIC", [source], [made])
    first = mixed.add_tensor(1, 8)
    inner = mixed.add_tensor(1, 8, dtype="int8", scale=[0.1], zero_point=[0])
    answer = mixed.add_tensor(1, 8, dtype="int8", scale=[0.1], zero_point=[0])
    last = mixed.add_tensor(1, 8)
    mixed.add_operator("QUANTIZE", [first], [inner])
    mixed.add_operator("LOGISTIC", [inner], [answer])
    mixed.add_operator("DEQUANTIZE", [answer], [last])
    twins = find_twins(
        read(mixed.to_bytes([first], [last])), read(plain.to_bytes([source], [made]))
    )
    assert twins == {first: source, inner: source, answer: made, last: made}


def test_a_file_of_the_graph_is_taken(exact: bytes, rounded: bytes) -> None:
    graph, other = read(rounded), read(exact)
    assert check_origin(graph, other, find_twins(graph, other), source="x") == ()


def test_a_file_of_another_graph_is_refused(exact: bytes) -> None:
    file = BuiltFile()
    tensors = [file.add_tensor(1, 64, 64, 3)]
    for _ in range(5):
        tensors.append(file.add_tensor(1, 64, 64, 3))
        file.add_operator("TANH", tensors[-2:-1], tensors[-1:])
    graph, other = read(file.to_bytes(tensors[:1], tensors[-1:])), read(exact)
    with pytest.raises(ModelError, match="expected a file that was made of this run"):
        check_origin(graph, other, find_twins(graph, other), source="x")


def test_weights_of_another_training_are_refused(exact: bytes) -> None:
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    graph, other = read(scale_weights(exact, kinds, -1.0)), read(exact)
    with pytest.raises(ModelError, match="with other weights, off by 200 % of their size"):
        check_origin(graph, other, find_twins(graph, other), source="x")


def test_a_head_that_was_fitted_anew_is_told_and_not_refused(exact: bytes) -> None:
    graph, other = read(scale_weights(exact, ("FULLY_CONNECTED",), 0.7)), read(exact)
    (changed,) = check_origin(graph, other, find_twins(graph, other), source="x")
    assert changed.kind == "FULLY_CONNECTED"


def make_tensor(dtype: str, scale: tuple[float, ...], zero: tuple[int, ...], axis: int = 0) -> Any:
    shape = (2, 3)
    return GraphTensor(0, "t", dtype, shape, shape, scale, zero, axis, 0, None)


def test_values_go_through_scales_and_back() -> None:
    values = np.array([[-1.0, 0.26, 7.0], [0.0, -9.0, 0.74]], np.float32)
    tensor = make_tensor("int8", (0.5,), (3,))
    stored = quantize(values, tensor)
    assert stored.tolist() == [[1, 4, 17], [3, -15, 4]]
    assert dequantize(stored, tensor).tolist() == [[-1.0, 0.5, 7.0], [0.0, -9.0, 0.5]]
    wide = quantize(values * 1000, tensor)
    assert (wide.min(), wide.max()) == (-128, 127)
    along = make_tensor("int8", (1.0, 0.1, 10.0), (0, 0, 0), axis=1)
    assert dequantize(np.full((2, 3), 5, np.int8), along)[0].tolist() == pytest.approx([5, 0.5, 50])
    plain = make_tensor("float32", (), ())
    assert (quantize(values, plain) == values).all()
