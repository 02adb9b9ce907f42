from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.predictor import load_tflite_predictor
from tfxfer_edge.tflite.flatbuffer import read_model, write_model
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.soundness import check_graphs, check_model_file, read_sound_model
from tfxfer_edge.tflite.trial import try_file

from .int8_files import quantize


@pytest.fixture(scope="module")
def content(small_graph: Any) -> bytes:
    return bytes(small_graph.float_content)


def last(model: Any) -> Any:
    return model.subgraphs[0].operators[-1]


def listed(values: Any) -> list[int]:
    return [int(value) for value in values]


def read_ahead(model: Any) -> None:
    first = model.subgraphs[0].operators[0]
    first.inputs = [int(last(model).outputs[0]), *listed(first.inputs)[1:]]


def write_twice(model: Any) -> None:
    last(model).outputs = listed(model.subgraphs[0].operators[0].outputs)


def write_a_weight(model: Any) -> None:
    last(model).outputs = [
        next(
            i
            for i, t in enumerate(model.subgraphs[0].tensors)
            if model.buffers[t.buffer].data is not None
        )
    ]


def point_outside(model: Any) -> None:
    last(model).inputs = [len(model.subgraphs[0].tensors), *listed(last(model).inputs)[1:]]


def point_below(model: Any) -> None:
    last(model).outputs = [-2]


def unknown_kind(model: Any) -> None:
    last(model).opcodeIndex = len(model.operatorCodes)


def unknown_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[0].buffer = len(model.buffers)


def short_weight(model: Any) -> None:
    buffer = max(model.buffers, key=lambda x: 0 if x.data is None else len(x.data))
    buffer.data = buffer.data[:-4]


def negative_size(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [-3, 3]


def missing_result(model: Any) -> None:
    model.subgraphs[0].outputs = [len(model.subgraphs[0].tensors) + 5]


def unwritten_result(model: Any) -> None:
    del model.subgraphs[0].operators[-1]


CHANGES: dict[Callable[[Any], None], str] = {
    read_ahead: "which nothing before it writes",
    write_twice: "again",
    write_a_weight: "again",
    point_outside: "expected tensors below",
    point_below: "-2 among operator",
    unknown_kind: "expected kinds below",
    unknown_buffer: "expected buffers below",
    short_weight: "bytes for tensor",
    negative_size: "sizes from 0 upwards",
    missing_result: "among outputs",
    unwritten_result: "the graph's outputs",
}


@pytest.mark.parametrize(("change", "told"), CHANGES.items(), ids=[c.__name__ for c in CHANGES])
def test_a_graph_that_would_end_the_process_is_refused(
    content: bytes, tmp_path: Path, change: Callable[[Any], None], told: str
) -> None:
    model = read_model(content)
    change(model)
    with pytest.raises(ModelError, match=told):
        check_graphs(model)
    (path := tmp_path / "x.tflite").write_bytes(write_model(model))
    for reader in (TFLiteModel, check_model_file, load_tflite_predictor):
        with pytest.raises(ModelError, match=r"x\.tflite"):
            reader(path)


def test_sound_graphs_pass_before_and_after_quantization(content: bytes) -> None:
    for sound in (content, quantize(content)):
        assert read_sound_model(sound).subgraphs
    # An optional input may be left out.
    model = read_model(content)
    operator = next(x for x in model.subgraphs[0].operators if len(x.inputs) == 3)
    operator.inputs = [*listed(operator.inputs)[:2], -1]
    check_graphs(model)


def test_what_no_check_can_see_ends_a_process_that_is_not_ours(
    content: bytes, tmp_path: Path
) -> None:
    (path := tmp_path / "sound.tflite").write_bytes(content)
    try_file(path)
    draw = random.Random(0)
    outcomes = {"refused": 0, "told": 0, "ran": 0}
    for _ in range(60):
        model = read_model(content)
        operator = draw.choice(model.subgraphs[0].operators)
        inputs = listed(operator.inputs)
        inputs[draw.randrange(len(inputs))] = draw.randrange(len(model.subgraphs[0].tensors))
        operator.inputs = inputs
        try:
            check_graphs(model)
        except ModelError:
            outcomes["refused"] += 1
            continue
        if outcomes["told"] + outcomes["ran"] >= 5:  # a process each
            continue
        path.write_bytes(write_model(model))
        try:
            try_file(path)
        except ModelError:
            outcomes["told"] += 1
        else:
            outcomes["ran"] += 1
    assert outcomes["refused"] > 0
    assert outcomes["told"] + outcomes["ran"] == 5


def test_a_process_that_a_file_ended_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = "import os, signal\nread_question()\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    monkeypatch.setattr("tfxfer_edge.tflite.trial._CODE", crash)
    with pytest.raises(ModelError, match=r"its process with signal 11\. .* export it again"):
        try_file(tmp_path / "x.tflite")
