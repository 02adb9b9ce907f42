"""Models that take pixels as bytes: understood, and quantized like all others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfxfer import Preprocessing
from tfxfer.errors import ModelError, UsageError
from tfxfer_edge import convert, freeze

SIDE = 64


class Serve(tf.Module):
    """Takes bytes, blue first, and turns them to what the model takes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.held = model, [variable.value for variable in model.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="photo")])
    def __call__(self, photo: Any) -> Any:
        turned = tf.reverse(tf.identity(photo), [-1])
        return {"scores": self.model(tf.cast(turned, tf.float32), training=False)}


class Negative(tf.Module):
    """Computes with bytes."""

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="photo")])
    def __call__(self, photo: Any) -> Any:
        turned = tf.bitwise.invert(photo)
        return {"scores": tf.reduce_mean(tf.cast(turned, tf.float32), [1, 2])}


def serve(module: Any, path: Path) -> Path:
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.__call__})
    return path


def check(graph: Any, expected: np.ndarray, pixels: np.ndarray) -> None:
    kinds = {
        tensor.dtype.name
        for operation in graph.function.graph.get_operations()
        for tensor in operation.outputs
    }
    assert "uint8" not in kinds
    np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-5)
    # The control: the same pixels in another order of the channels.
    assert np.abs(graph.run(pixels[..., ::-1]) - expected).max() > 1e-3


def test_a_saved_model_of_bytes(
    make_small: Callable[..., Any], photos: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    small = make_small()
    pixels = photos(5)
    expected = np.asarray(small(pixels[..., ::-1].astype(np.float32), training=False))
    path = serve(Serve(small), tmp_path / "served")
    for said in (None, "in_graph"):
        graph = freeze(path, preprocessing=said)  # type: ignore[arg-type]
        check(graph, expected, pixels)
        assert graph.input_quantization == (1.0, 0.0)
    with pytest.raises(UsageError, match=r"in_graph.*uint8"):
        freeze(path, preprocessing=Preprocessing.from_mean_std(mean=0, std=255))
    converted = convert(path, recipe="int8", calibration=photos(20))
    assert converted.input_dtype == "uint8"
    assert converted.input_quantization == pytest.approx((1.0, 0.0), abs=0.01)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_keras_model_of_bytes(package: str, photos: Callable[..., np.ndarray]) -> None:
    found = pytest.importorskip(package)
    image = found.Input((SIDE, SIDE, 3), dtype="uint8")
    x = found.layers.Rescaling(1 / 127.5, -1)(image)
    x = found.layers.GlobalAveragePooling2D()(found.layers.Conv2D(8, 3, strides=4)(x))
    normal = found.initializers.RandomNormal(stddev=2.0, seed=5)
    x = found.layers.Dense(3, activation="softmax", kernel_initializer=normal)(x)
    model, pixels = found.Model(image, x), photos(5)
    graph = freeze(model)
    check(graph, np.asarray(model(pixels, training=False)), pixels)
    assert graph.float_content


def test_arithmetic_of_bytes_is_named(tmp_path: Path) -> None:
    path = serve(Negative(), tmp_path / "served")
    with pytest.raises(ModelError, match=r"Invert \(makes '.*'\) on uint8.*float32 input"):
        freeze(path)


def test_another_kind_of_number_is_named() -> None:
    image = keras.Input((SIDE, SIDE, 3), dtype="int32")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    with pytest.raises(ModelError, match=r"float32 or uint8.*dtype=int32"):
        freeze(keras.Model(image, x), preprocessing="in_graph")
