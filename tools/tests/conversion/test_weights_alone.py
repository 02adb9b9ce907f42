"""`w8` and `w4`: integers on disk, float32 in the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer_edge import FrozenGraph, convert, freeze
from tfxfer_edge.tflite.flatbuffer import list_operators, tensor_table
from tfxfer_edge.tflite.interpreter import TFLiteModel

Photos = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def heavy(settled: Callable[..., Any], photos: Photos) -> FrozenGraph:
    """A network whose weights are nearly all of its file: 440 kB."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((64, 64, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(pixels)
    x = keras.layers.Conv2D(64, 3, strides=4, use_bias=False)(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(128, 3, strides=2, use_bias=False)(x)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(256, activation="relu")(x)
    scores = keras.layers.Dense(5, activation="softmax")(x)
    return freeze(settled(keras.Model(pixels, scores), photos(32)), preprocessing="in_graph")


@pytest.mark.parametrize(("recipe", "times", "atol"), [("w8", 4, 0.01), ("w4", 8, 0.1)])
def test_a_file_is_as_small_as_its_weights(
    heavy: FrozenGraph, photos: Photos, recipe: str, times: int, atol: float
) -> None:
    plain, made = convert(heavy, recipe="float32"), convert(heavy, recipe=recipe)
    # Within a tenth, and 4 kB of graph that no bits make smaller.
    assert len(made.content) - 4096 < 1.1 * len(plain.content) / times
    assert len(made.content) > 0.9 * len(plain.content) / times
    pixels = photos(8, seed=1)
    found, exact = (
        TFLiteModel(x.content, preprocessing=x.normalization).score(pixels) for x in (made, plain)
    )
    np.testing.assert_allclose(found, exact, atol=atol)
    assert np.abs(found - exact).max() > 1e-6  # the control: something was rounded


@pytest.mark.parametrize(("recipe", "dtype"), [("w8", "int8"), ("w4", "int4")])
def test_activations_stay_float(small_graph: FrozenGraph, recipe: str, dtype: str) -> None:
    made = convert(small_graph, recipe=recipe)
    assert (made.engine, made.input_dtype, made.output_dtype) == (
        "quantizer",
        "float32",
        "float32",
    )
    rows = tensor_table(made.content)
    assert {row.dtype for row in rows if not row.is_constant} == {"float32"}
    kinds = {row.dtype for row in rows if row.is_constant and len(row.shape) > 1}
    # A depthwise convolution has no kernel of 4 bits, and gets 8.
    assert kinds == {"int8", dtype}
    assert list_operators(made.content).count("DEQUANTIZE") == 4
    # What `dynamic_w8` does instead: the operators take the integers themselves.
    assert "DEQUANTIZE" not in list_operators(convert(small_graph, recipe="dynamic_w8").content)


def test_only_one_engine_has_them(small_graph: FrozenGraph) -> None:
    from tfxfer.errors import ModelError

    with pytest.raises(ModelError, match="only LiteRT Quantizer does recipe 'w4'"):
        convert(small_graph, recipe="w4", engine="converter")
