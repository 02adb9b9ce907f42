from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfxfer.images.decode import open_image
from tfxfer_edge.proof.mediapipe import MediaPipeClassifier
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
