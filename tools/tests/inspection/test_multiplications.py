"""Multiplications, counted by hand from the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.errors import ModelError
from tfxfer_edge.inspection.multiplications import count_multiplications
from tfxfer_edge.inspection.operators import list_graph
from tfxfer_edge.tflite.soundness import read_sound_model

from .built_files import BuiltFile


def count(content: bytes) -> list[int | None]:
    operators = list_graph(read_sound_model(content))[1]
    return [count_multiplications(operator) for operator in operators]


def build(kind: str, source: Any, weights: Any, target: Any, options: Any = None) -> bytes:
    file = BuiltFile()
    image, kernel = file.add_tensor(*source), file.add_weights(*weights)
    made = file.add_tensor(*target)
    file.add_operator(kind, [image, kernel], [made], options)
    return file.to_bytes([image], [made])


@pytest.mark.parametrize(
    ("kind", "source", "weights", "target", "expected"),
    [
        # 4 by 5 places, each 3 · 3 · 7 products for each of 6 outputs.
        ("CONV_2D", (1, 8, 10, 7), (6, 3, 3, 7), (1, 4, 5, 6), 4 * 5 * 3 * 3 * 7 * 6),
        # In two groups each output reads half of the 8 channels.
        ("CONV_2D", (1, 8, 10, 8), (6, 3, 3, 4), (1, 4, 5, 6), 4 * 5 * 3 * 3 * 4 * 6),
        ("CONV_2D", (3, 8, 10, 7), (6, 3, 3, 7), (3, 4, 5, 6), 3 * 4 * 5 * 3 * 3 * 7 * 6),
        # Each of 7 channels on its own.
        ("DEPTHWISE_CONV_2D", (1, 8, 10, 7), (1, 3, 3, 7), (1, 8, 10, 7), 8 * 10 * 9 * 7),
        ("FULLY_CONNECTED", (1, 20), (11, 20), (1, 11), 20 * 11),
        ("FULLY_CONNECTED", (2, 5, 20), (11, 20), (2, 5, 11), 2 * 5 * 20 * 11),
        ("CONV_3D", (1, 4, 8, 8, 2), (3, 3, 3, 2, 5), (1, 4, 8, 8, 5), 4 * 8 * 8 * 27 * 2 * 5),
    ],
)
def test_counts_are_those_of_a_hand(
    kind: str, source: Any, weights: Any, target: Any, expected: int
) -> None:
    assert count(build(kind, source, weights, target)) == [expected]


def test_a_transposed_convolution_works_at_each_place_that_it_reads() -> None:
    file = BuiltFile()
    size = file.add_tensor(4, dtype="int32", values=np.array([1, 8, 8, 5], np.int32))
    kernel = file.add_weights(5, 2, 2, 3)
    source, made = file.add_tensor(1, 4, 4, 3), file.add_tensor(1, 8, 8, 5)
    file.add_operator("TRANSPOSE_CONV", [size, kernel, source], [made])
    assert count(file.to_bytes([source], [made])) == [4 * 4 * 2 * 2 * 3 * 5]


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_product_of_matrices_counts_what_they_share(is_turned: bool) -> None:
    file = BuiltFile()
    left = file.add_tensor(*((2, 7, 3) if is_turned else (2, 3, 7)))
    right, made = file.add_tensor(2, 7, 5), file.add_tensor(2, 3, 5)
    options = schema.BatchMatMulOptionsT()
    options.adjX = is_turned
    file.add_operator("BATCH_MATMUL", [left, right], [made], options)
    assert count(file.to_bytes([left, right], [made])) == [2 * 3 * 7 * 5]


def test_a_recurrence_multiplies_its_matrices_at_each_step() -> None:
    file = BuiltFile()
    source, made = file.add_tensor(1, 9, 4), file.add_tensor(1, 9, 6)
    weights = [file.add_weights(6, 4), file.add_weights(6, 6), file.add_weights(6)]
    file.add_operator("UNIDIRECTIONAL_SEQUENCE_RNN", [source, *weights], [made])
    assert count(file.to_bytes([source], [made])) == [9 * (6 * 4 + 6 * 6)]


def test_what_takes_one_operation_a_value_is_not_counted_and_a_custom_one_not_known() -> None:
    file = BuiltFile()
    source, between, made = (file.add_tensor(1, 8) for _ in range(3))
    file.add_operator("LOGISTIC", [source], [between])
    file.add_operator("CUSTOM", [between], [made], custom="Foreign")
    assert count(file.to_bytes([source], [made])) == [0, None]


@pytest.mark.parametrize(
    ("kind", "weights", "words"),
    [
        ("CONV_2D", (6, 7), "at operator 0, CONV_2D. Received: shape=(6, 7)"),
        ("FULLY_CONNECTED", (6,), "Received: shape=(6,)"),
    ],
)
def test_shapes_that_cannot_be_are_refused(kind: str, weights: Any, words: str) -> None:
    content = build(kind, (1, 8, 10, 7), weights, (1, 4, 5, 6))
    with pytest.raises(ModelError) as caught:
        count(content)
    assert words in str(caught.value)


def test_a_missing_tensor_is_refused() -> None:
    file = BuiltFile()
    source, made = file.add_tensor(1, 8, 8, 3), file.add_tensor(1, 8, 8, 3)
    file.add_operator("DEPTHWISE_CONV_2D", [source], [made])
    with pytest.raises(ModelError, match="Received: none"):
        count(file.to_bytes([source], [made]))
