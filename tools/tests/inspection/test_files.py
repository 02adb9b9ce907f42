"""Which files are taken, and what is said of those that are not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from tfxfer.cli.main import run as run_cli

from .built_files import BuiltFile

Capture: TypeAlias = pytest.CaptureFixture[str]

WATCHED = """
import json, sys
from tfxfer.cli.main import run
code = run(sys.argv[1:])
heavy = [x for x in ("tensorflow", "keras", "ai_edge_litert.interpreter") if x in sys.modules]
print(json.dumps([code, heavy]), file=sys.stderr)
"""


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


def test_it_takes_no_tensorflow_and_less_than_two_seconds(dense: Path) -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, "inspect", str(dense), "--json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        seconds.append(time.perf_counter() - start)
        assert json.loads(done.stderr.splitlines()[-1]) == [0, []]
        assert json.loads(done.stdout)["total"]["multiplications"] == 220
    assert min(seconds) < 2  # the others may have shared the machine


def test_the_watch_sees_what_is_imported(dense: Path) -> None:
    """The control: a command that starts the interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "benchmark", str(dense), "--runs", "1", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "ai_edge_litert.interpreter" in json.loads(done.stderr.splitlines()[-1])[1]


def test_tables_for_people(dense: Path, capfd: Capture) -> None:
    assert run_cli(["inspect", str(dense)]) == 0
    out = capfd.readouterr().out
    assert "operators that XNNPACK computes: 1; LiteRT: 0" in out
    assert "FULLY_CONNECTED" in out
    assert "model-explorer" in out
    assert str(dense) in out


def test_the_line_that_opens_a_file_survives_a_shell(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "my file's.tflite"
    path.write_bytes(make_dense())
    assert run_cli(["inspect", str(path), "--json"]) == 0
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
    assert run_cli(["inspect", str(path)]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"error: model {str(path)!r}: expected ")
    assert words in line


def test_no_file_at_all_is_a_matter_of_usage(capfd: Capture) -> None:
    assert run_cli(["inspect"]) == 2
    assert "Missing argument 'FILE'" in capfd.readouterr().err


def test_the_bytes_tell_what_a_file_is_where_its_name_does_not(
    tmp_path: Path, capfd: Capture
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(make_dense())
    assert run_cli(["inspect", str(path), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["kind"] == "tflite"


def test_metadata_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(_with_metadata())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vocab.txt", bytes(100 << 20))
    assert path.stat().st_size < 1 << 20
    assert run_cli(["inspect", str(path)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "expected at most 100 packed files of 32 MB together" in line


def _with_metadata() -> bytes:
    from tfxfer_edge.tflite.card import ModelCard
    from tfxfer_edge.tflite.metadata_writer import write_metadata

    file = BuiltFile()
    source, made = file.add_tensor(1, 8, 8, 3), file.add_tensor(1, 3)
    flat = file.add_tensor(1, 192)
    shape = file.add_tensor(2, dtype="int32", values=np.array([1, 192], np.int32))
    file.add_operator("RESHAPE", [source, shape], [flat])
    file.add_operator("FULLY_CONNECTED", [flat, file.add_weights(3, 192)], [made])
    card = ModelCard("small", labels=("a", "b", "c"), metadata_kind="classifier")
    return write_metadata(file.to_bytes([source], [made]), card)
