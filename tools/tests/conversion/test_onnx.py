from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import ModelError, UsageError
from tfxfer_edge import convert
from tfxfer_edge.conversion import onnx as edge_onnx
from tfxfer_edge.conversion.onnx import OnnxModel, export_onnx

pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")


@pytest.fixture(scope="module")
def path(small: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(small, path)
    return path


def test_scores_are_those_of_keras(
    small: Any, path: Path, photos: Callable[..., np.ndarray]
) -> None:
    pixels = photos(3).astype(np.float32)
    expected = np.asarray(small(pixels, training=False))
    np.testing.assert_allclose(OnnxModel(path).run(pixels), expected, atol=1e-4)
    # The control: other pixels.
    assert np.abs(OnnxModel(path).run(pixels[::-1]) - expected).max() > 1e-2


def test_is_a_recipe_like_the_others(small: Any, tmp_path: Path) -> None:
    made = convert(small, recipe="onnx", preprocessing="in_graph")
    assert (made.suffix, made.engine, made.input_dtype) == (".onnx", "keras", "float32")
    # Unlike a TFLite file, the ONNX file is the whole model, with its rescaling.
    assert made.normalization == Preprocessing()
    made.save(tmp_path / "model.onnx")
    assert OnnxModel(tmp_path / "model.onnx").score(np.zeros((1, 64, 64, 3))).shape == (1, 5)


def test_eight_bits_are_a_recipe_too(small: Any, photos: Callable[..., np.ndarray]) -> None:
    options = {"preprocessing": "in_graph", "calibration": photos(20, seed=1)}
    made = convert(small, recipe="onnx_int8", **options)
    assert (made.suffix, made.engine, made.input_dtype) == (".onnx", "onnxruntime", "float32")
    expected = np.asarray(small(photos(20).astype(np.float32), training=False))
    found = OnnxModel(made.content).score(photos(20))
    assert np.abs(found - expected).mean() < 0.02
    assert np.abs(found[::-1] - expected).mean() > 0.1  # the control
    with pytest.raises(UsageError, match=r"'onnx_int8': expected calibration"):
        convert(small, recipe="onnx_int8", preprocessing="in_graph")


def test_a_file_that_scores_otherwise_is_refused_and_not_left(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_onnx.OnnxModel, "run", lambda *_: np.zeros((2, 5)))
    with pytest.raises(ModelError, match="equal scores"):
        export_onnx(small, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(edge_onnx, "_PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(ModelError, match=r"no_such_package.*tfxfer-edge\[onnx\]"):
        export_onnx(None, tmp_path / "model.onnx")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        OnnxModel(tmp_path / "model.onnx")


def test_other_kinds_of_models_are_refused(small: Any, tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    pixels = tf_keras.Input((8, 8, 3))
    model = tf_keras.Model(pixels, tf_keras.layers.GlobalAveragePooling2D()(pixels))
    with pytest.raises(ModelError, match="TFLite recipe"):
        convert(model, recipe="onnx", preprocessing="in_graph")
