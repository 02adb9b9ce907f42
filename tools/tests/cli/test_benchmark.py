from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.cli.main import run as run_cli
from tfxfer_edge.tflite.flatbuffer import write_model

Capture: TypeAlias = pytest.CaptureFixture[str]


def test_benchmark_takes_turns(exported: Path, capfd: Capture) -> None:
    paths = [str(exported / f"model_{name}.tflite") for name in ("float32", "int8")]
    assert run_cli(["benchmark", *paths, "--runs", "5", "--rounds", "1", "--json"]) == 0
    models = json.loads(capfd.readouterr().out)["models"]
    assert [item["path"] for item in models] == paths
    for item in models:
        assert 0 < item["latency_ms"]["median"] <= item["latency_ms"]["p95"]
        # Not this process's, which holds TensorFlow.
        assert item["bytes"] < item["peak_memory_bytes"] < 300e6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty one, of 0 bytes"),
        (b"no model at all", "with TFL3 at byte 4. Received: 15 bytes"),
        (b"\x1c\0\0\0TFL3" + bytes(12), "20 bytes, cut off or damaged"),
    ],
    ids=["empty", "text", "cut"],
)
def test_what_is_no_model_is_told_before_the_runtime_starts(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def measure(*_: Any, **__: Any) -> None:
        raise AssertionError("started")

    monkeypatch.setattr("tfxfer_edge.timing.latency.measure", measure)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(content)
    assert run_cli(["benchmark", str(broken)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: model {str(broken)!r}: expected a")
    assert words in line


def test_a_path_with_nothing_there_is_told(tmp_path: Path, capfd: Capture) -> None:
    assert run_cli(["benchmark", str(tmp_path / "none.tflite")]) == 1
    assert "Received: nothing there" in capfd.readouterr().err


def test_what_may_end_the_process_is_not_opened_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def find_feed(path: Path) -> None:
        raise AssertionError(f"opened {path}")

    monkeypatch.setattr("tfxfer_edge.proof.feed.find_feed", find_feed)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(make_foreign())
    assert run_cli(["benchmark", str(broken)]) == 1
    assert "expected a .tflite file that runs" in capfd.readouterr().err


def make_foreign() -> bytes:
    """Returns a whole file whose operator no runtime has."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.customCode = schema.BuiltinOperator.CUSTOM, "Foreign"
    code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    operator = schema.OperatorT()
    operator.inputs = operator.outputs = []
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    return write_model(model)
