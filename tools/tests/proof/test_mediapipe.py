from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.images.decode import open_image
from tfxfer_edge.proof import mediapipe as client_module
from tfxfer_edge.proof.mediapipe import MediaPipeClassifier
from tfxfer_edge.proof.parity import check_parity
from tfxfer_edge.tflite.interpreter import TFLiteModel

from .. import photo_classifier as photos
from .photo_files import content_of, write_file


@pytest.fixture(scope="module")
def mediapipe() -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")


@pytest.mark.parametrize("name", ["in_graph", "uint8"])
@pytest.mark.usefixtures("mediapipe")
def test_mediapipe_names_what_we_name(name: str, tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, *content_of(name)))
    with MediaPipeClassifier(model) as client:
        for number, square in enumerate(photos.squares()):
            scores, names = client.classify(square)
            assert names == photos.LABELS
            assert names[scores.argmax()] == photos.LABELS[number]
            assert np.abs(scores - model.score(square[None])[0]).max() < 1e-6


@pytest.mark.usefixtures("mediapipe")
def test_mediapipe_takes_the_nearest_pixel(tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, photos.quantized(), photos.MINUS_ONE_TO_ONE))
    photo = open_image(photos.FILES[0]).resize((8 * photos.SIDE, 4 * photos.SIDE))
    pixels = np.asarray(photo)
    with MediaPipeClassifier(model) as client:
        scores, _ = client.classify(pixels)
    # Pixels 0, 8, 16, … of each row: the top left one of each block.
    assert np.abs(scores - model.score(pixels[None, ::4, ::8])[0]).max() < 1e-6


SILENT = "import time\nread_question()\ntime.sleep(600)"
LAZY = "read_question()\nanswer({})\nread_question()\nimport time\ntime.sleep(600)"
FRAGILE = "read_question()\nanswer({})\nread_question()\nos.abort()"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (SILENT, "did not answer within"),
        (LAZY, "did not answer within"),
        pytest.param(
            FRAGILE,
            "ended Python with signal 6",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="signals"),
        ),
    ],
)
@pytest.mark.usefixtures("mediapipe")
def test_a_client_that_hangs_or_crashes_is_a_note(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_CODE", code)
    monkeypatch.setattr(client_module, "_START_S", 3)
    monkeypatch.setattr(client_module, "_SAMPLE_S", 1)
    path = write_file(tmp_path, *content_of("in_graph"))
    started = time.monotonic()
    found = check_parity(photos.predictor(), path, photos.FILES[:2])
    assert time.monotonic() - started < 60
    assert found.mediapipe is None
    assert found.mediapipe_raw is None
    assert found.mediapipe_note is not None
    assert told in found.mediapipe_note
    # What it was asked beside is there.
    assert found.interpreter.top1 == 1.0
    assert found.fault is None
    with pytest.raises(ModelError, match=told):
        check_parity(photos.predictor(), path, photos.FILES[:2], mediapipe=True)


@pytest.mark.usefixtures("mediapipe")
def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, *content_of("in_graph")))
    before = {name for name in sys.modules if name.startswith("mediapipe")}
    with MediaPipeClassifier(model) as client:
        client.classify(photos.squares()[0])
    assert {name for name in sys.modules if name.startswith("mediapipe")} == before
