"""Models inside of models: float32 all the way down, and their Rescaling leaves the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer_edge import convert, freeze
from tfxfer_edge.conversion.rescaling import find_rescaling

layers = keras.layers
MINUS_ONE_TO_ONE = Preprocessing.from_mean_std(mean=127.5, std=127.5)
ZERO_TO_ONE = Preprocessing.from_mean_std(mean=0, std=255)


@pytest.fixture
def half() -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def end(x: Any) -> Any:
    x = layers.GlobalAveragePooling2D()(x)
    normal = keras.initializers.RandomNormal(stddev=2.0, seed=5)
    return layers.Dense(3, "softmax", kernel_initializer=normal, dtype="float32")(x)


def functional_in_functional(*first: Any) -> Any:
    inner = keras.Input((64, 64, 3))
    x = inner
    for layer in first:
        x = layer(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, strides=4)(x)))
    base = keras.Model(inner, layers.TimeDistributed(layers.Dense(5))(x), name="base")
    image = keras.Input((64, 64, 3))
    return keras.Model(image, end(base(image)))


def sequential_in_sequential(*first: Any) -> Any:
    # Two deep, and built by its first call.
    base = keras.Sequential([keras.Sequential([*first, layers.Conv2D(6, 3, strides=4)])])
    return keras.Sequential([keras.Input((64, 64, 3)), base, Tail()])


def sequential(*first: Any) -> Any:
    return keras.Sequential(
        [keras.Input((64, 64, 3)), *first, layers.Conv2D(6, 3, strides=4), Tail()]
    )


class Tail(layers.Layer):
    """Layers inside of a layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        normal = keras.initializers.RandomNormal(stddev=2.0, seed=5)
        self.pool = layers.GlobalAveragePooling2D(dtype=self.dtype_policy)
        self.dense = layers.Dense(3, "softmax", kernel_initializer=normal, dtype=self.dtype_policy)

    def build(self, shape: Any) -> None:
        self.dense.build((None, shape[-1]))

    def call(self, x: Any) -> Any:
        return self.dense(self.pool(x))


BUILDERS = [functional_in_functional, sequential_in_sequential, sequential]


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("build", BUILDERS)
def test_half_precision_becomes_float32_all_the_way_down(
    build: Callable[..., Any], photos: Callable[..., np.ndarray]
) -> None:
    keras.utils.set_random_seed(0)
    model, pixels = build(layers.Rescaling(1 / 255)), photos(4)
    rough = np.asarray(model(pixels.astype(np.float32)), np.float32)
    keras.mixed_precision.set_global_policy("float32")
    graph = freeze(model, preprocessing="in_graph")
    kinds = {
        tensor.dtype.name
        for operation in graph.function.graph.get_operations()
        for tensor in operation.outputs
    }
    assert "float16" not in kinds
    np.testing.assert_allclose(graph.run(pixels), rough, atol=0.01)
    # The control: other pixels are other scores.
    assert np.abs(graph.run(pixels[::-1]) - rough).max() > 0.01
    assert convert(model, recipe="float32", preprocessing="in_graph").content


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("said", ["in_graph", MINUS_ONE_TO_ONE])
def test_a_nested_rescaling_leaves_the_graph(
    build: Callable[..., Any], said: Any, photos: Callable[..., np.ndarray]
) -> None:
    keras.utils.set_random_seed(0)
    model, pixels = build(layers.Rescaling(1 / 127.5, -1)), photos(4)
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    graph = freeze(model, preprocessing=said)
    assert graph.input_quantization == pytest.approx((1 / 127.5, 127.5))
    np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-5)
    # Nobody's layers were called anew.
    for layer in model.layers:
        assert layer.output is not None
    assert freeze(model, preprocessing=said).preprocessing == MINUS_ONE_TO_ONE


@pytest.mark.parametrize("build", BUILDERS)
def test_the_same_of_a_file(
    build: Callable[..., Any], photos: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    # Read back, a sequential model has called its first layers once for each that follows.
    keras.utils.set_random_seed(0)
    model, pixels = build(layers.Rescaling(1 / 127.5, -1)), photos(4)
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    model.save(tmp_path / "guest.keras")
    read = keras.models.load_model(tmp_path / "guest.keras", custom_objects={"Tail": Tail})
    graph = freeze(read, preprocessing=MINUS_ONE_TO_ONE)
    assert graph.input_quantization == pytest.approx((1 / 127.5, 127.5))
    np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-5)


def test_what_reads_the_pixels_twice_stays(photos: Callable[..., np.ndarray]) -> None:
    inner = keras.Input((64, 64, 3))
    base = keras.Model(inner, layers.Conv2D(3, 3, padding="same")(layers.Rescaling(1 / 255)(inner)))
    image = keras.Input((64, 64, 3))
    twice = keras.Model(image, end(base(base(image))))
    beside = keras.Model(image, end(layers.Add()([base(image), image])))
    for model in (twice, beside):
        assert find_rescaling(model) is None
        pixels = photos(3)
        expected = np.asarray(model(pixels.astype(np.float32), training=False))
        graph = freeze(model, preprocessing="in_graph")
        np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-4)


def test_a_layer_that_cannot_be_copied_keeps_the_rescaling(
    photos: Callable[..., np.ndarray],
) -> None:
    class Brighten(layers.Layer):
        def __init__(self, by: Callable[[Any], Any]) -> None:
            super().__init__()
            self.by = by

        def call(self, x: Any) -> Any:
            return self.by(x)

        def get_config(self) -> Any:
            raise NotImplementedError

    model = functional_in_functional(layers.Rescaling(1 / 255), Brighten(lambda x: x + 0.1))
    pixels = photos(3)
    expected = np.asarray(model(pixels.astype(np.float32), training=False))
    for said in ("in_graph", ZERO_TO_ONE):
        graph = freeze(model, preprocessing=said)
        np.testing.assert_allclose(graph.run(pixels), expected, atol=1e-5)
