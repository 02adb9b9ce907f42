"""Code that comes with a model file runs only where the user trusts it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from tfxfer.errors import ModelError
from tfxfer_edge.conversion.model_files import read_model_file


class Mean(tf.Module):
    """Writes a file when it is called."""

    def __init__(self, trap: str) -> None:
        super().__init__()
        self.trap = trap

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32, name="image")])
    def __call__(self, image: Any) -> Any:
        tf.io.write_file(self.trap, "ran")
        return {"scores": tf.reduce_mean(image, [1, 2])}


def build(package: Any, *extra: Any) -> Any:
    layers = package.layers
    return package.Sequential(
        [
            package.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            *extra,
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )


def save(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the format is a legacy is the point
        model.save(path)
    return path


def test_a_saved_model_that_writes_files_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap, folder = tmp_path / "trap", tmp_path / "saved"
    module = Mean(str(trap))
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})
    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "load", lambda path: pytest.fail("it was loaded"))
        with pytest.raises(ModelError, match=r"WriteFile \(has an effect\).*--trust"):
            read_model_file(folder, trust=False)
    loaded = read_model_file(folder, trust=True)
    loaded.signatures["serving_default"](image=tf.zeros([1, 8, 8, 3]))
    assert trap.exists()


def test_a_saved_model_that_computes_is_loaded(tmp_path: Path) -> None:
    build(keras).export(tmp_path / "saved", verbose=False)
    assert read_model_file(tmp_path / "saved", trust=False).signatures


def test_a_legacy_lambda_runs_only_when_trusted(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    trap = tmp_path / "trap"
    code = tf_keras.layers.Lambda(
        lambda x, path=str(trap): (__import__("pathlib").Path(path).touch(), x)[1], name="odd"
    )
    path = save(build(tf_keras, code), tmp_path / "old.h5")
    trap.unlink()
    with pytest.raises(ModelError, match=r"layer 'odd' of class 'Lambda'.*--trust"):
        read_model_file(path, trust=False)
    assert not trap.exists()
    read_model_file(path, trust=True)
    assert trap.exists()


def test_an_h5_file_is_read_by_the_keras_that_wrote_it(tmp_path: Path) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    old = read_model_file(save(build(tf_keras), tmp_path / "old.h5"), trust=False)
    new = read_model_file(save(build(keras), tmp_path / "new.h5"), trust=False)
    assert isinstance(old, tf_keras.Model)
    assert isinstance(new, keras.Model)


def test_weights_alone_are_named(tmp_path: Path) -> None:
    build(keras).save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.weights.h5").read_bytes())
    (tmp_path / "c.safetensors").write_bytes(b"")
    for name in ("a.weights.h5", "b.h5", "c.safetensors"):
        with pytest.raises(ModelError, match=r"weights alone.*load_weights"):
            read_model_file(tmp_path / name, trust=False)
