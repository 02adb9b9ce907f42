"""What accelerators refuse: by their lists, and no more than those say."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer_edge.inspection.operators import list_graph
from tfxfer_edge.inspection.published import read_lists
from tfxfer_edge.inspection.refusals import _CHECKS, describe_refusals
from tfxfer_edge.tflite.soundness import read_sound_model

from ..tflite.int8_files import quantize
from .built_files import BuiltFile
from .single_operators import make_files

BUILTINS = {key for key in vars(schema.BuiltinOperator) if not key.startswith("_")}


def judge(content: bytes, *, is_fixed: bool = True) -> dict[str, dict[str, Any]]:
    operators = list_graph(read_sound_model(content))[1]
    return {x["name"]: x for x in describe_refusals(operators, is_fixed=is_fixed)}


@pytest.mark.parametrize("known", read_lists().values(), ids=lambda x: x.name)
def test_a_list_names_operators_that_exist_a_source_and_a_date(known: Any) -> None:
    assert set(known.operators) <= BUILTINS
    assert set(known.conditions) <= set(known.operators)
    assert known.source
    assert datetime.date.fromisoformat(known.read).year >= 2026


def test_what_is_checked_is_a_condition_of_a_list() -> None:
    conditions = {(key, kind) for key, known in read_lists().items() for kind in known.conditions}
    assert set(_CHECKS) <= conditions


def test_float_is_refused_where_integers_are_asked_for(small_graph: Any) -> None:
    content = bytes(small_graph.float_content)
    before = judge(content)["Edge TPU compiler"]
    after = judge(quantize(content))["Edge TPU compiler"]
    assert before["takes"] == 0
    assert {row["reason"] for row in before["refused"]} == {"in float32"}
    assert after["takes"] > 5
    assert not any(row["operator"] == "CONV_2D" for row in after["refused"])


def test_hard_swish_and_a_custom_operator() -> None:
    file = BuiltFile()
    source, between, made = (file.add_tensor(1, 8) for _ in range(3))
    file.add_operator("HARD_SWISH", [source], [between], schema.HardSwishOptionsT())
    file.add_operator("CUSTOM", [between], [made], custom="Foreign")
    found = judge(file.to_bytes([source], [made]))
    foreign = {"operator": "CUSTOM:Foreign", "count": 1}
    swish = {"operator": "HARD_SWISH", "count": 1}
    assert found["GPU delegate"]["not_listed"] == [swish, foreign]
    assert found["Edge TPU compiler"]["not_listed"] == [swish, foreign]
    assert found["NNAPI delegate"]["not_listed"] == [foreign]
    assert found["TensorFlow Lite Micro"]["takes"] == 1
    # Not listed is not refused.
    assert [item["refused"] for item in found.values()] == [[], [], [], []]


def test_sixteen_bits_are_refused_by_type() -> None:
    for name, content in make_files("int16"):
        if name == "ADD":
            found = judge(content)
    refused = [{"operator": "ADD", "count": 1, "reason": "in int16"}]
    assert found["GPU delegate"]["refused"] == refused
    assert found["NNAPI delegate"]["refused"] == refused
    assert found["Edge TPU compiler"]["refused"] == refused
    assert found["TensorFlow Lite Micro"]["takes"] == 1  # its list says nothing of types


def make_pool(activation: int) -> bytes:
    file = BuiltFile()
    options = schema.Pool2DOptionsT()
    options.filterHeight = options.filterWidth = options.strideH = options.strideW = 2
    options.fusedActivationFunction = activation
    scale = {"scale": [0.1], "zero_point": [0]}
    source = file.add_tensor(1, 4, 4, 8, dtype="int8", **scale)
    made = file.add_tensor(1, 2, 2, 8, dtype="int8", **scale)
    file.add_operator("MAX_POOL_2D", [source], [made], options)
    return file.to_bytes([source], [made])


def test_a_condition_that_the_file_shows_is_checked() -> None:
    plain, fused = (judge(make_pool(x))["Edge TPU compiler"] for x in (0, 1))
    assert (plain["takes"], plain["refused"]) == (1, [])
    (row,) = fused["refused"]
    assert row == {
        "operator": "MAX_POOL_2D",
        "count": 1,
        "reason": "expected no fused activation",
    }
    assert plain["unchecked"] == []


def test_a_condition_that_is_not_checked_is_said() -> None:
    for name, content in make_files("int8"):
        if name == "RESHAPE":
            (row,) = judge(content)["Edge TPU compiler"]["unchecked"]
    assert row == {"operator": "RESHAPE", "condition": "tensors that are not large"}


def test_free_sizes_are_named() -> None:
    notes = judge(make_pool(0), is_fixed=False)["Edge TPU compiler"]["notes"]
    assert notes[-1] == "this file has sizes that are free: it is refused"
    assert len(judge(make_pool(0))["Edge TPU compiler"]["notes"]) == len(notes) - 1


def test_a_long_softmax_is_refused_by_the_edge_tpu() -> None:
    def make(*shape: int) -> bytes:
        file = BuiltFile()
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        scale = {"scale": [0.1], "zero_point": [0]}
        source, made = (file.add_tensor(*shape, dtype="int8", **scale) for _ in range(2))
        file.add_operator("SOFTMAX", [source], [made], options)
        return file.to_bytes([source], [made])

    counts = [judge(make(*x))["Edge TPU compiler"]["takes"] for x in ((1, 10), (4, 10), (1, 20000))]
    assert counts == [1, 0, 0]
