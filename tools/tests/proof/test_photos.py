from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfxfer.data.spread import spread_rows
from tfxfer.images.decode import open_image, resize_image
from tfxfer_edge.proof.photos import find_photos, paint_noise
from tfxfer_edge.tflite.interpreter import TFLiteModel


def test_photos_of_its_own_export(exported: Path) -> None:
    found = find_photos(exported / "model_int8.tflite")
    assert found.words == "8 of the images that it was calibrated with"
    calibration = json.loads((exported / "export.json").read_text())["calibration"]
    files = calibration["files"]
    # From all over the list, which may be one class after the other.
    first = Path(calibration["data"], files[spread_rows(len(files), 8)[0]])
    model = TFLiteModel(exported / "model_int8.tflite")
    pixels = resize_image(open_image(first), model.image_size)
    assert found.inputs is not None
    assert found.inputs.dtype == np.uint8
    np.testing.assert_array_equal(found.inputs[0], pixels)


def test_a_float_file_gets_them_as_its_input_takes_them(exported: Path) -> None:
    found = find_photos(exported / "model_float32.tflite")
    assert found.inputs is not None
    assert found.inputs.dtype == np.float32
    assert -1 <= found.inputs.min() < -0.5 < 0.5 < found.inputs.max() <= 1


@pytest.mark.parametrize("manifest", [None, "no json", "[]", '{"calibration": {"data": 3}}'])
def test_noise_is_said_where_no_images_are_at_hand(
    manifest: str | None, exported: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(exported / "model_int8.tflite", tmp_path))
    if manifest is not None:
        (tmp_path / "export.json").write_text(manifest)
    found = find_photos(path)
    assert found.words.startswith("noise like that of photos (seed 0)")
    assert found.inputs is not None
    np.testing.assert_array_equal(found.inputs, paint_noise(8, found.inputs.shape[1]))


def test_images_that_are_gone_are_noise_too(exported: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(exported / "model_int8.tflite", tmp_path))
    calibration = {"data": str(tmp_path), "files": ["gone.png"]}
    (tmp_path / "export.json").write_text(json.dumps({"calibration": calibration}))
    assert find_photos(path).words.startswith("noise")


def test_a_file_that_is_no_model_is_left_to_the_runtime(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3" * 10)
    assert find_photos(path).inputs is None


def test_the_noise_is_smooth_as_photos_are() -> None:
    noise = paint_noise(2, 64).astype(float)
    white = np.random.default_rng(0).uniform(0, 255, noise.shape)

    def roughness(pixels: np.ndarray) -> float:
        """Mean step between neighbours, as a share of the spread of all pixels."""
        return float(np.abs(np.diff(pixels, axis=2)).mean() / pixels.std())

    assert roughness(noise) < 0.7
    assert roughness(white) > 1  # the control
    assert 30 < noise.std() < 70
    assert not np.array_equal(paint_noise(1, 8, seed=1), paint_noise(1, 8))
