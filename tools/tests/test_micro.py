"""`--micro`: C++ for TensorFlow Lite Micro, compiled where there is a compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import GateError, UsageError
from tfxfer_edge import Converted, FrozenGraph, convert, export
from tfxfer_edge.handover.micro import name_method, render_micro
from tfxfer_edge.proof.micro import MicroReport
from tfxfer_edge.proof.parity import Agreement
from tfxfer_edge.request import check_request
from tfxfer_edge.tflite import micro_run
from tfxfer_edge.tflite.flatbuffer import list_operators
from tfxfer_edge.tflite.micro_run import find_version, run_micro

from .small_files import LABELS, SIDE, save_classifier, save_photos

Photos = Callable[..., np.ndarray]
needs_micro = pytest.mark.skipif(
    find_version() is None, reason="tflite-micro is not installed: it has wheels for Linux alone"
)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")

MAIN = """
#include <cstdint>
#include <cstdio>
#include "model_data.h"

struct Resolver {
  unsigned int count = 0;
  ADD_METHODS
};

int main() {
  Resolver resolver;
  if (!model_data::AddOperators(resolver)) return 1;
  std::printf("%u %u %u\\n", g_model_data_size, resolver.count, model_data::kOperatorCount);
  std::printf("%d\\n", static_cast<int>(reinterpret_cast<std::uintptr_t>(g_model_data) % 16));
  for (int at = 0; at < 8; ++at) std::printf("%d ", g_model_data[at]);
  std::printf("%d\\n", g_model_data[g_model_data_size - 1]);
  std::printf("%.9g %d\\n", model_data::kInputScale, model_data::kInputZeroPoint);
  for (const char* label : model_data::kLabels) std::printf("%s\\n", label);
}
"""


@pytest.fixture(scope="module")
def signed(small_graph: FrozenGraph, photos: Photos) -> Converted:
    return convert(small_graph, recipe="int8", calibration=photos(24), io="int8")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of one channel, and what it has to be given."""
    root = tmp_path_factory.mktemp("micro")
    photos = save_photos(root / "photos")
    return {
        "model": save_classifier(root / "textures.keras", photos, channels=1),
        "calibration": photos,
        "labels": LABELS,
        "preprocessing": "in_graph",
        "max_drop": None,
    }


def compile_and_run(folder: Path, operators: tuple[str, ...]) -> list[str]:
    """Returns the lines that a program prints which is linked with the array."""
    methods = "".join(f"int {name_method(x)}() {{ ++count; return 0; }}\n  " for x in operators)
    (folder / "main.cc").write_text(MAIN.replace("ADD_METHODS", methods))
    command = ["g++", "-std=c++14", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    files = ["main.cc", "model_data.cc", "-o", "program"]
    subprocess.run([*command, *files], cwd=folder, check=True)
    done = subprocess.run([folder / "program"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@needs_compiler
def test_the_array_is_the_file(signed: Converted, tmp_path: Path) -> None:
    operators = tuple(dict.fromkeys(list_operators(signed.content)))
    # Labels that would end a text, a line or a comment of C++, or begin something.
    labels = ('a "quoted" one', "back\\slash", "sôleil ☀", "??/", "*/ // #define x")
    report = MicroReport(operators, True, None, "0.1", 27472, 4, 0.0, "bit for bit")
    files = render_micro(signed.content, signed, report, name="a\nb\\", labels=labels)
    assert sorted(files) == ["model_data.cc", "model_data.h"]
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    first, aligned, some, scale, *found = compile_and_run(tmp_path, operators)
    assert first == f"{len(signed.content)} {len(operators)} {len(operators)}"
    assert aligned == "0"
    content = signed.content
    assert [int(x) for x in some.split()] == [*content[:8], content[-1]]
    wanted_scale, zero = signed.input_quantization or (0.0, 0)
    assert np.float32(scale.split()[0]) == np.float32(wanted_scale)
    assert int(scale.split()[1]) == zero == -128 + 128
    assert tuple(found) == labels
    assert "constexpr std::size_t kArenaSize = 27472;" in files["model_data.h"].decode()


def test_methods_are_called_as_the_resolver_calls_them() -> None:
    found = {
        name: name_method(name)
        for name in ("CONV_2D", "AVERAGE_POOL_2D", "HARD_SWISH", "RELU6", "RESIZE_NEAREST_NEIGHBOR",
                     "BATCH_MATMUL", "L2_POOL_2D", "ADD")
    }  # fmt: skip
    assert list(found.values()) == [
        "AddConv2D", "AddAveragePool2D", "AddHardSwish", "AddRelu6", "AddResizeNearestNeighbor",
        "AddBatchMatMul", "AddL2Pool2D", "AddAdd",
    ]  # fmt: skip


@needs_micro
@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_it_answers_as_the_plain_kernels_do(
    small_graph: FrozenGraph, photos: Photos, io: Any
) -> None:
    from tfxfer_edge.proof.micro import run_litert

    made = convert(small_graph, recipe="int8", calibration=photos(24), io=io)
    pixels = photos(10, seed=5)
    inputs = {
        "int8": (pixels.astype(np.int16) - 128).astype(np.int8),
        "uint8": pixels,
        "float32": made.normalization.apply(pixels),
    }[io]
    found = run_micro(made.content, inputs)
    assert found.reason is None
    assert found.outputs is not None
    expected = run_litert(made.content, inputs, plain=True).astype(np.float64)
    step = 1 / 256 if io == "float32" else 1
    # Each layer may round a half the other way.
    assert np.abs(found.outputs - expected).max() <= 2 * step
    # The control: other samples, other answers.
    other = run_micro(made.content, inputs[::-1].copy()).outputs
    assert other is not None
    assert np.abs(other - expected).max() > 20 * step


@needs_micro
def test_the_arena_is_the_least_that_does(
    signed: Converted, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = (photos(2, seed=5).astype(np.int16) - 128).astype(np.int8)
    size = run_micro(signed.content, inputs).arena_bytes
    assert size is not None
    monkeypatch.setattr(micro_run, "_MOST_ARENA_BYTES", size)
    assert run_micro(signed.content, inputs).arena_bytes == size
    monkeypatch.setattr(micro_run, "_MOST_ARENA_BYTES", size - 16)
    found = run_micro(signed.content, inputs)
    assert found.arena_bytes is None
    assert found.reason is not None
    assert "for its tensors" in found.reason


@needs_micro
def test_an_operator_that_it_does_not_run_is_named(
    small_graph: FrozenGraph, photos: Photos
) -> None:
    made = convert(small_graph, recipe="w4")
    found = run_micro(made.content, made.normalization.apply(photos(1)))
    assert found.outputs is None
    assert found.reason is not None
    assert found.reason.startswith("operator DEQUANTIZE (number 0) does not run there: ")
    assert "\n" not in found.reason


@needs_micro
@needs_compiler
def test_an_export_for_a_microcontroller(given: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "edge"
    result = export(**given, out=out, recipes=("int8",), io="int8", micro=True)
    found = result.document["micro"]
    assert json.loads((out / "export.json").read_text())["micro"] == json.loads(json.dumps(found))
    assert found["runs"]
    assert found["largest_steps"] <= 1
    assert found["equality"] in ("bit for bit", "within one step")
    assert found["samples"] >= 10
    assert found["agreement"]["top1"] == 1.0
    assert 4096 < found["arena_bytes"] < 65536
    assert f"{found['arena_bytes']:,} bytes for tensors" in found["words"]
    header = (out / "model_data.h").read_text()
    assert f"constexpr std::size_t kArenaSize = {found['arena_bytes']};" in header
    assert "constexpr int kInputChannels = 1;" in header
    first, *_ = compile_and_run(out, tuple(found["operators"]))
    # What no controller reads is left out: labels, and whose photos it has learnt from.
    assert int(first.split()[0]) < (out / "model_int8.tflite").stat().st_size - 500
    for name in ("main.cc", "program"):
        (out / name).unlink()
    export(**given, out=out, recipes=("int8",), overwrite=True)
    assert not (out / "model_data.h").exists()
    left = {path.name for path in out.iterdir()}
    assert left == {
        "Classifier.kt", "Classifier.swift", "README.md", "export.json", "labels.txt",
        "model_int8.tflite", "run.py",
    }  # fmt: skip
    assert SIDE == 32


@needs_micro
def test_answers_that_are_others_are_refused(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = micro_run.run_micro

    def turned(content: bytes, inputs: np.ndarray) -> Any:
        return real(content, np.ascontiguousarray(inputs[::-1]))

    monkeypatch.setattr("tfxfer_edge.proof.micro.run_micro", turned)
    with pytest.raises(GateError, match="expected a microcontroller to answer as LiteRT") as caught:
        export(**given, out=tmp_path / "edge", recipes=("int8",), io="int8", micro=True)
    document = caught.value.document  # type: ignore[attr-defined]
    assert document["chosen"] is None
    (candidate,) = document["candidates"]
    assert (candidate["passed"], candidate["path"]) == (False, None)
    assert "TensorFlow Lite Micro differs" in candidate["reason"]
    assert not (tmp_path / "edge").exists()


def test_without_the_package_the_memory_is_not_measured(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer_edge.proof.micro.find_version", lambda: None)
    out = tmp_path / "edge"
    found = export(**given, out=out, recipes=("int8",), io="int8", micro=True).document["micro"]
    assert found["runs"] is None
    assert "tfxfer-edge[micro]" in found["words"]
    header = (out / "model_data.h").read_text()
    assert "constexpr std::size_t kArenaSize" not in header
    assert "not measured: tflite-micro is not installed" in header


def test_what_no_array_is_made_of_is_refused_at_once(given: dict[str, Any], tmp_path: Path) -> None:
    options = {**given, "out": tmp_path / "edge", "micro": True}
    del options["max_drop"]
    with pytest.raises(UsageError, match="Received: recipe onnx"):
        check_request(**options, recipes=("int8", "onnx"))
    with pytest.raises(UsageError, match="Received: --dynamic-batch"):
        check_request(**options, dynamic_batch=True)


def test_a_report_says_what_is_wrong() -> None:
    near, far = (Agreement(x, x, 1.0) for x in (0.01, 0.4))
    assert MicroReport((), True, agreement=near, limit=0.02).fault is None
    fault = MicroReport((), True, agreement=far, limit=0.02).fault
    assert fault is not None
    assert "0.4 on average, above 0.02" in fault
    # A NaN is no agreement.
    assert MicroReport((), True, agreement=Agreement(0, float("nan"), None), limit=0.02).fault
