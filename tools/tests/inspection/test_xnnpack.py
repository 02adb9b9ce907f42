"""The table of XNNPACK against LiteRT, which says itself what it handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.operators import Operator, list_graph
from tfxfer_edge.inspection.xnnpack import cut_graph, describe_partitions, find_left
from tfxfer_edge.tflite.runtime import load_interpreter
from tfxfer_edge.tflite.soundness import read_sound_model

from ..tflite.int8_files import quantize
from .built_files import BuiltFile
from .single_operators import TYPES, make_files


def read_operators(content: bytes) -> tuple[Operator, ...]:
    return list_graph(read_sound_model(content))[1]


def ask_litert(content: bytes) -> list[set[int]]:
    """Returns the tensors that leave each part which LiteRT handed to XNNPACK."""
    interpreter = load_interpreter(content)
    return [
        set(map(int, item["outputs"]))
        for item in interpreter._get_ops_details()
        if item["op_name"] == "DELEGATE"
    ]


def predict_parts(content: bytes) -> list[set[int]]:
    """Returns the same by the table."""
    operators = read_operators(content)
    ends = {int(index) for index in read_sound_model(content).subgraphs[0].outputs}
    parts = []
    for is_taken, piece in cut_graph(operators, find_left(operators)):
        if is_taken:
            made = {x.index for index in piece for x in operators[index].outputs}
            rest = [x for x in operators if x.index not in piece]
            read = {x.index for other in rest for x in other.inputs if x is not None}
            parts.append(made & (read | ends))
    return parts


def sort_parts(parts: Sequence[set[int]]) -> list[list[int]]:
    return sorted(sorted(part) for part in parts)


@pytest.mark.parametrize("dtype", TYPES)
def test_litert_hands_over_what_the_table_says(dtype: str) -> None:
    compared, wrong = 0, {}
    for name, content in make_files(dtype):
        try:
            taken = bool(ask_litert(content))
        except ModelError:
            continue  # LiteRT itself has no kernel for it: nobody runs such a file
        compared += 1
        left = find_left(read_operators(content))
        if taken == bool(left):
            wrong[name] = left or "the table takes it"
    assert wrong == {}
    assert compared >= {"float32": 50, "int8": 40, "uint8": 30, "int16": 20}[dtype]


def test_both_answers_are_met() -> None:
    """The control: the table says yes to some and no to others, in each type that has both."""
    for dtype, expected in (("float32", {True, False}), ("int8", {True, False}), ("int16", {True})):
        answers = {bool(find_left(read_operators(content))) for _, content in make_files(dtype)}
        assert answers == expected


@pytest.fixture(scope="module")
def v3_like(settled: Any) -> bytes:
    """Float blocks as MobileNetV3 has them: hard swish, squeeze and excitation, a skip."""
    import keras

    from tfxfer_edge import freeze

    layers = keras.layers
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3), name="pixels")
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(pixels)
    x = layers.Activation("hard_swish")(x)
    for number in range(2):
        y = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{number}")(x)
        y = layers.Activation("hard_swish")(y)
        squeezed = layers.GlobalAveragePooling2D(keepdims=True)(y)
        squeezed = layers.Conv2D(4, 1, activation="relu")(squeezed)
        squeezed = layers.Conv2D(8, 1, activation="hard_sigmoid")(squeezed)
        x = layers.Add()([x, layers.Multiply()([y, squeezed])])
    x = layers.GlobalAveragePooling2D()(x)
    scores = layers.Dense(4, activation="softmax")(x)
    return bytes(freeze(keras.Model(pixels, scores), preprocessing="in_graph").float_content)


def test_hard_swish_in_int8_cuts_and_in_float_does_not(v3_like: bytes) -> None:
    rounded = quantize(v3_like)
    found = describe_partitions(read_operators(rounded))
    assert found["cuts"][0] == {"operator": "HARD_SWISH", "count": 3}
    assert {"operator": "HARD_SWISH", "count": 3, "reason": "in int8"} in found["left"]
    assert found["partitions"] == len(ask_litert(rounded)) >= 4
    plain = describe_partitions(read_operators(v3_like))
    assert (plain["partitions"], plain["left"], plain["cuts"]) == (1, [], [])
    assert len(ask_litert(v3_like)) == 1


def test_the_parts_are_litert_s_own(v3_like: bytes, small_graph: Any) -> None:
    for content in (v3_like, quantize(v3_like), quantize(small_graph.float_content)):
        parts = sort_parts(predict_parts(content))
        assert parts == sort_parts(ask_litert(content))
        assert parts


@pytest.mark.parametrize("recipe", ["float16", "dynamic_w8"])
def test_weights_that_are_stored_smaller(recipe: str, small: Any) -> None:
    from tfxfer_edge import convert

    content = convert(small, recipe=recipe, preprocessing="in_graph").content
    assert sort_parts(predict_parts(content)) == sort_parts(ask_litert(content))


def test_an_operator_waits_for_what_it_reads_and_for_no_more() -> None:
    """Two branches, each float: what XNNPACK takes of both is one part, as LiteRT does it."""
    file = BuiltFile()
    source = file.add_tensor(1, 8)
    first, second, third, fourth = (file.add_tensor(1, 8) for _ in range(4))
    file.add_operator("LOG_SOFTMAX", [source], [first], schema.LogSoftmaxOptionsT())
    file.add_operator("TANH", [first], [second])
    file.add_operator("LOG_SOFTMAX", [source], [third], schema.LogSoftmaxOptionsT())
    file.add_operator("TANH", [third], [fourth])
    content = file.to_bytes([source], [second, fourth])
    operators = read_operators(content)
    left = find_left(operators)
    assert left == {0: "not listed", 2: "not listed"}
    assert cut_graph(operators, left) == [(False, [0, 2]), (True, [1, 3])]
    (part,) = ask_litert(content)
    assert part == {second, fourth}
    (inputs,) = (
        set(map(int, item["inputs"]))
        for item in load_interpreter(content)._get_ops_details()
        if item["op_name"] == "DELEGATE"
    )
    assert inputs == {first, third}  # the others are LiteRT's


def test_scales_that_are_too_far_apart_are_left() -> None:
    file = BuiltFile()
    first = file.add_tensor(1, 8, dtype="int8", scale=[1e-6], zero_point=[0])
    second = file.add_tensor(1, 8, dtype="int8", scale=[1.0], zero_point=[0])
    made = file.add_tensor(1, 8, dtype="int8", scale=[1.0], zero_point=[0])
    file.add_operator("ADD", [first, second], [made], schema.AddOptionsT())
    content = file.to_bytes([first, second], [made])
    assert find_left(read_operators(content)) == {0: "scales that are too far apart"}
    assert ask_litert(content) == []


def test_a_quantization_from_unsigned_to_signed_is_left() -> None:
    def make(source: str) -> bytes:
        file = BuiltFile()
        read = file.add_tensor(1, 8, dtype=source, scale=[0.1], zero_point=[0])
        made = file.add_tensor(1, 8, dtype="int8", scale=[0.2], zero_point=[0])
        file.add_operator("QUANTIZE", [read], [made])
        return file.to_bytes([read], [made])

    assert find_left(read_operators(make("uint8"))) == {0: "uint8 to int8"}
    assert find_left(read_operators(make("int8"))) == {}
    assert ask_litert(make("uint8")) == []
    assert len(ask_litert(make("int8"))) == 1


def test_a_graph_of_nothing_has_no_parts() -> None:
    file = BuiltFile()
    source = file.add_tensor(1, 8)
    found = describe_partitions(read_operators(file.to_bytes([source], [source])))
    assert (found["partitions"], found["taken"], found["left"]) == (0, 0, [])
