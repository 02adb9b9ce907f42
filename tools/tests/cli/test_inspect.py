"""Which files are taken, and what is said of those that are not."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer.cli.main import run as run_cli
from tfxfer.registry.lookup import Registry
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata

from ..inspection.built_files import BuiltFile

Capture: TypeAlias = pytest.CaptureFixture[str]

REGISTRY = Registry([EntryPoint("inspect", "tfxfer_edge.cli.inspect:command", "tfxfer.commands")])

WATCHED = """
import json, sys, time
from importlib.metadata import EntryPoint
from tfxfer.cli.main import run
from tfxfer.registry.lookup import Registry
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata
point = EntryPoint(sys.argv[1], sys.argv[2], "tfxfer.commands")
code = run([sys.argv[1], *sys.argv[3:]], registry=Registry([point]))
heavy = [x for x in ("tensorflow", "keras", "ai_edge_litert.interpreter") if x in sys.modules]
print(json.dumps([code, heavy, time.process_time()]), file=sys.stderr)
"""
_MOST_CPU_S = 2.0


def call(*args: Any) -> int:
    """Runs the command, whatever the installed distribution says of its commands."""
    return run_cli(["inspect", *map(str, args)], registry=REGISTRY)


def watch(command: str, module: str, *args: Any) -> tuple[int, list[str], float, str]:
    """Returns the exit code, what heavy was imported, the seconds of CPU, and stdout."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, command, f"tfxfer_edge.cli.{module}", *map(str, args)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    code, heavy, seconds = json.loads(done.stderr.splitlines()[-1])
    return code, heavy, seconds, done.stdout


def make_dense() -> bytes:
    file = BuiltFile()
    source, made = file.add_tensor(1, 20), file.add_tensor(1, 11)
    file.add_operator("FULLY_CONNECTED", [source, file.add_weights(11, 20)], [made])
    return file.to_bytes([source], [made])


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    path = tmp_path / "dense.tflite"
    path.write_bytes(make_dense())
    return path


def make_large() -> bytes:
    """A file of the size of MobileNetV2 in int8: 70 operators, 4 MB of weights."""
    file = BuiltFile()
    options: dict[str, Any] = {"dtype": "int8", "scale": [0.1], "zero_point": [0]}
    source = last = file.add_tensor(1, 14, 14, 240, **options)
    for _ in range(70):
        made = file.add_tensor(1, 14, 14, 240, **options)
        bias = file.add_weights(240, dtype="int32", scale=[0.01])
        kernel = file.add_weights(240, 1, 1, 240, dtype="int8", scale=[0.1] * 240)
        convolution = schema.Conv2DOptionsT()
        convolution.strideH = convolution.strideW = 1
        file.add_operator("CONV_2D", [last, kernel, bias], [made], convolution)
        last = made
    return file.to_bytes([source], [last])


def make_onnx() -> bytes:
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes, weights = [], []
    for number in range(70):
        kernel = np.zeros((128, 128, 1, 1), np.float32)
        weights.append(onnx.numpy_helper.from_array(kernel, f"k{number}"))
        nodes.append(helper.make_node("Conv", [f"t{number}", f"k{number}"], [f"t{number + 1}"]))
    ends = [
        helper.make_tensor_value_info(name, float32, [1, 128, 14, 14]) for name in ("t0", "t70")
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=weights)
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def make_keras(path: Path) -> None:
    import keras

    x = source = keras.Input((14, 14, 128))
    for _ in range(70):
        x = keras.layers.Conv2D(128, 1)(x)
    keras.Model(source, x).save(path)


@pytest.mark.parametrize("kind", ["tflite", "onnx", "keras"])
def test_it_takes_no_tensorflow_and_less_than_two_seconds(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"large.{kind}"
    if kind == "keras":
        make_keras(path)
    else:
        path.write_bytes(make_large() if kind == "tflite" else make_onnx())
    assert path.stat().st_size > 4e6
    code, heavy, seconds, out = watch("inspect", "inspect:command", path, "--json")
    assert (code, heavy) == (0, [])
    channels = 240 if kind == "tflite" else 128
    assert json.loads(out)["total"]["multiplications"] == 70 * 14 * 14 * channels**2
    assert seconds < _MOST_CPU_S


def test_the_watch_sees_what_is_imported(dense: Path) -> None:
    """The control: a command that starts the interpreter."""
    options = ("--runs", "1", "--rounds", "1")
    _, heavy, *_ = watch("benchmark", "benchmark:command", dense, *options)
    assert "ai_edge_litert.interpreter" in heavy


def test_tables_for_people(dense: Path, capfd: Capture) -> None:
    assert call(dense) == 0
    out = capfd.readouterr().out
    assert "operators that XNNPACK computes: 1; LiteRT: 0" in out
    assert "held at once beside weights: 0.1 kB, at operator 0" in out
    assert "an estimate" in out
    assert "FULLY_CONNECTED" in out
    assert "model-explorer" in out
    assert str(dense) in out


def test_the_line_that_opens_a_file_survives_a_shell(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "my file's.tflite"
    path.write_bytes(make_dense())
    assert call(path, "--json") == 0
    line = json.loads(capfd.readouterr().out)["explorer"]["command"]
    done = subprocess.run(
        ["sh", "-c", line.replace("model-explorer", "printf %s")],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == str(path)


def make_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


BROKEN: dict[str, tuple[str, Any, str]] = {
    "nothing": ("none.tflite", None, "Received: nothing there."),
    "a folder": ("folder.tflite", Path.mkdir, "Received: a folder."),
    "empty": ("empty.tflite", b"", "Received: an empty one, of 0 bytes."),
    "cut": ("cut.tflite", make_dense()[:200], "200 bytes, cut off or damaged"),
    "noise": (
        "noise.tflite",
        np.random.default_rng(0).bytes(5000),
        "expected a TFLite file, with TFL3 at byte 4. Received: 5000 bytes",
    ),
    "noise.onnx": (
        "noise.onnx",
        np.random.default_rng(0).bytes(5000),
        "expected a whole ONNX file. Received: 5,000 bytes",
    ),
    "cut.onnx": ("cut.onnx", b"\x08\x08\x3a\xff", "expected a whole ONNX file. Received: 4 bytes"),
    "noise.keras": (
        "noise.keras",
        np.random.default_rng(0).bytes(5000),
        "Received: File is not a zip file",
    ),
    "empty.onnx": ("empty.onnx", b"", "Received: 0 bytes, without one."),
    "empty.keras": ("empty.keras", b"", "Received: File is not a zip file"),
    "cut.keras": ("cut.keras", b"PK\x03\x04" + bytes(100), "Received: File is not a zip file"),
    "an archive of something else": ("other.keras", make_archive, "no item named 'config.json'"),
    "another kind than its name says": (
        "model.onnx",
        make_dense(),
        "expected a file of the kind that its name says. Received: a .tflite file. Rename it.",
    ),
    "an archive, called otherwise": (
        "model.tflite",
        make_archive,
        "Received: a zip archive. Rename it.",
    ),
    "another ending": ("photo.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "starting b'\\x89PNG"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_files_cost_one_line(case: str, tmp_path: Path, capfd: Capture) -> None:
    name, content, words = BROKEN[case]
    path = tmp_path / name
    if callable(content):
        content(path)
    elif content is not None:
        path.write_bytes(content)
    assert call(path) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"error: model {str(path)!r}: expected ")
    assert words in line


def test_no_file_at_all_is_a_matter_of_usage(capfd: Capture) -> None:
    assert call() == 2
    assert "Missing argument 'FILE'" in capfd.readouterr().err


def test_the_bytes_tell_what_a_file_is_where_its_name_does_not(
    tmp_path: Path, capfd: Capture
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(make_dense())
    assert call(path, "--json") == 0
    assert json.loads(capfd.readouterr().out)["kind"] == "tflite"


def test_metadata_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(_with_metadata())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vocab.txt", bytes(100 << 20))
    assert path.stat().st_size < 1 << 20
    assert call(path) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "expected at most 100 packed files, and 32 MB of those that are needed" in line


def _with_metadata() -> bytes:
    file = BuiltFile()
    source, made = file.add_tensor(1, 8, 8, 3), file.add_tensor(1, 3)
    flat = file.add_tensor(1, 192)
    shape = file.add_tensor(2, dtype="int32", values=np.array([1, 192], np.int32))
    file.add_operator("RESHAPE", [source, shape], [flat])
    file.add_operator("FULLY_CONNECTED", [flat, file.add_weights(3, 192)], [made])
    card = ModelCard("small", labels=("a", "b", "c"), metadata_kind="classifier")
    return write_metadata(file.to_bytes([source], [made]), card)


def test_what_a_file_says_of_itself_steers_no_terminal(tmp_path: Path, capfd: Capture) -> None:
    """Escapes in the names of tensors and labels."""
    file = BuiltFile()
    source, made = file.add_tensor(1, 8, 8, 3), file.add_tensor(1, 2)
    flat = file.add_tensor(1, 192)
    shape = file.add_tensor(2, dtype="int32", values=np.array([1, 192], np.int32))
    file.add_operator("RESHAPE", [source, shape], [flat])
    file.add_operator("FULLY_CONNECTED", [flat, file.add_weights(2, 192)], [made])
    file.tensors[source].name = "\x1b[31mred"
    card = ModelCard("na\x1bme", labels=("ab", "c\x1b[2J"), metadata_kind="classifier")
    path = tmp_path / "steering.tflite"
    path.write_bytes(write_metadata(file.to_bytes([source], [made]), card))
    assert call(path) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out
    assert "labels: 2: ab, c\\x1b[2J" in out


def test_a_number_of_images_is_of_a_comparison(dense: Path, capfd: Capture) -> None:
    assert call(dense, "--images", 5) == 2
    assert "--images is of a comparison: add --against RUN." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "run", "code", "words"),
    [
        ("file.tflite", "none", 1, "expected a run or a model. Received: nothing there."),
        ("file.tflite", "", 1, "Received: a folder with neither run.json nor saved_model.pb."),
        ("file.onnx", "", 2, "--against: expected a .tflite file to compare with a run"),
    ],
)
def test_what_cannot_be_compared_is_told_before_tensorflow(
    name: str, run: str, code: int, words: str, tmp_path: Path, capfd: Capture
) -> None:
    path = tmp_path / name
    path.write_bytes(make_dense() if name.endswith("tflite") else make_onnx())
    assert call(path, "--against", tmp_path / run) == code
    captured = capfd.readouterr()
    assert words in captured.err
    assert "importing TensorFlow" not in captured.err
    assert captured.out == ""
