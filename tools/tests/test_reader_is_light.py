"""A phone's file is scored without Keras and TensorFlow, which take many seconds to load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CODE = """
import json, sys
from tfxfer.inference import load_predictor
from tfxfer.inference.scoring import evaluate, predict
try:
    load_predictor(sys.argv[1])
except Exception as error:
    kind = type(error).__name__
print(json.dumps([kind, [name for name in ("keras", "tensorflow", "jax") if name in sys.modules]]))
"""


def test_reading_a_tflite_file_loads_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    kind, heavy = json.loads(done.stdout.splitlines()[-1])
    assert kind == "ModelError"  # the reader was asked: the file is no model
    assert heavy == []


REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "tensorflow", "tf_keras", "jax", "torch"):
            raise AssertionError(f"imported {name}")

sys.meta_path.insert(0, Refuse())
from tfxfer.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["evaluate", "predict", "benchmark"])
def test_a_tflite_file_needs_neither_keras_nor_tensorflow(
    command: str, exported: Path, colour_run: Any
) -> None:
    data = Path(colour_run.read_manifest().request["data"])
    rest = {
        "evaluate": [str(data)],
        "predict": [str(next((data / "violet").iterdir()))],
        "benchmark": ["--runs", "3", "--rounds", "1"],
    }[command]
    file = str(exported / "model_int8.tflite")
    done = refuse_heavy(command, file, *rest, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    document = json.loads(done.stdout)
    if command == "evaluate":
        assert document["accuracy"]["value"] > 0.8
    elif command == "predict":
        assert document[0]["label"] == "violet"
    else:
        assert document["models"][0]["latency_ms"]["median"] > 0
        assert document["inputs"] == {file: "8 of the images that it was calibrated with"}


def test_a_run_needs_keras(colour_run: Any) -> None:
    """The control: what refuses is at work."""
    photo = next((Path(colour_run.read_manifest().request["data"]) / "violet").iterdir())
    done = refuse_heavy("predict", str(colour_run.path), str(photo))
    assert done.returncode != 0
    assert "imported keras" in done.stderr or "fault in tfxfer" in done.stderr


def test_an_export_that_cannot_be_meant_is_told_before_they_are_loaded(
    exported: Path, colour_run: Any, tmp_path: Path
) -> None:
    run, photos = str(colour_run.path), str(colour_run.read_manifest().request["data"])
    warned = tmp_path / "warned"
    warned.mkdir()
    warning = {"kind": "chance", "message": "no better than a guess", "cause": ""}
    document = json.loads((colour_run.path / "run.json").read_text())
    (warned / "run.json").write_text(json.dumps({**document, "warnings": [warning]}))
    (warned / "model.keras").write_bytes(b"")
    model = tmp_path / "model.keras"
    model.write_bytes(b"")
    new = ["--out", str(tmp_path / "new")]
    cases = {
        (run, "--out", str(exported)): (1, "--overwrite"),
        (run, *new, "--recipe", "int7"): (2, "int7"),
        (run, *new, "--labels", str(exported / "labels.txt")): (2, "that a run knows itself"),
        (run, *new, "--calibration", str(tmp_path / "no")): (1, "nothing at that path"),
        (str(tmp_path / "no"), *new): (1, "nothing there"),
        (str(model), *new): (2, "--calibration DATA"),
        (str(model), *new, "--calibration", photos): (2, "--labels labels.txt"),
        (str(warned), *new): (3, "no better than a guess"),
    }
    for args, (code, told) in cases.items():
        done = refuse_heavy("export", *args)
        assert (done.returncode, told in done.stderr) == (code, True), (args, done.stderr)
        assert "imported" not in done.stderr
    # The control: with --force the work begins.
    done = refuse_heavy("export", str(warned), *new, "--force")
    assert done.returncode not in (0, 3)
    assert "imported" in done.stderr or "fault in tfxfer" in done.stderr


def refuse_heavy(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs tfxfer in a process in which Keras and TensorFlow cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", REFUSING, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
