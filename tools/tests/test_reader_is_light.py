"""A phone's file is scored without Keras and TensorFlow, which take many seconds to load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
