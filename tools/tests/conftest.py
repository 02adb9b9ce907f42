"""Small models with statistics as after training, and images with structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIDE_PX = 64
COLOURS = {"green": (30, 190, 40), "amber": (230, 160, 20), "violet": (120, 40, 200)}
CLASSES = 5


def paint_photos(count: int, *, seed: int = 0, side_px: int = SIDE_PX) -> np.ndarray:
    """Returns patches of colour on a slope of light: what noise is not, and photos are."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(20, 235, (count, 1, 1, 3))
    slope = np.linspace(-1, 1, side_px)[None, :, None, None] * rng.uniform(
        -60, 60, (count, 1, 1, 1)
    )
    patches = np.kron(
        rng.normal(0, 45, (count, 8, 8, 3)), np.ones((1, side_px // 8, side_px // 8, 1))
    )
    return np.clip(base + slope + patches, 0, 255).round().astype(np.uint8)


def settle(model: Any, pixels: np.ndarray) -> Any:
    """Gives every BatchNormalization the statistics of these images, and scores that differ."""
    import keras

    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(rng.uniform(0.7, 1.4, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    model(pixels.astype(np.float32), training=True)
    return model


def build_small(scale: Any = 1 / 127.5, offset: Any = -1.0, *, name: str = "small") -> Any:
    """Returns a stem, a depthwise block with a skip and a softmax; None rescales nothing."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3), name="pixels")
    x = pixels
    if scale is not None:
        x = layers.Rescaling(scale, offset, name="rescale_pixels")(x)
    x = layers.Conv2D(16, 3, strides=4, padding="same", use_bias=False, name="stem_conv")(x)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block_depthwise")(x)
    y = layers.ReLU(6.0, name="block_relu")(layers.BatchNormalization(name="block_bn")(y))
    y = layers.Conv2D(16, 1, use_bias=False, name="block_project")(y)
    y = layers.BatchNormalization(name="project_bn")(y)
    x = layers.Add(name="block_add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    scores = layers.Dense(
        CLASSES,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.8, seed=2),
        name="scores",
    )(x)
    return keras.Model(pixels, scores, name=name)


def run_file(converted: Any, pixels: np.ndarray) -> np.ndarray:
    """Returns the real-valued scores of pixels, as a client of the file gets them."""
    from tfxfer_edge.tflite.runtime import load_interpreter

    interpreter = load_interpreter(converted.content)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    inputs = pixels
    if converted.input_dtype == "float32":
        inputs = converted.normalization.apply(pixels)
    parts = []
    for image in inputs:
        interpreter.set_tensor(source["index"], image[None].astype(source["dtype"]))
        interpreter.invoke()
        parts.append(interpreter.get_tensor(target["index"]))
    scores = np.concatenate(parts)
    if converted.output_quantization is None:
        return scores
    scale, zero = converted.output_quantization
    return (scores.astype(np.float32) - zero) * np.float32(scale)


@pytest.fixture(scope="session")
def colour_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A classifier of colours, trained in seconds; tests may add exports to it, no more."""
    from PIL import Image

    from tfxfer.job.prepare import prepare
    from tfxfer.job.request import TrainRequest
    from tfxfer.job.train import train_run

    root = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    side = 48
    for label, colour in COLOURS.items():
        (root / "photos" / label).mkdir(parents=True)
        for number in range(40):
            noise = rng.normal(0, 25, (side, side, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{number}.png")
    request = TrainRequest(
        data=str(root / "photos"),
        backbone="efficientnet_lite0",
        size=side,
        schedule="head",
        head_epochs=8,
        augment="none",
    )
    return train_run(prepare(request), root / "run")


@pytest.fixture(scope="session")
def photos() -> Callable[..., np.ndarray]:
    return paint_photos


@pytest.fixture(scope="session")
def make_small() -> Callable[..., Any]:
    """Returns a function that builds the small model; equal arguments give equal weights."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return settle(build_small(*args, **kwargs), paint_photos(32, seed=9))

    return make


@pytest.fixture(scope="session")
def small(make_small: Callable[..., Any]) -> Any:
    """The small model with one scale and offset; tests must not change it."""
    return make_small()


@pytest.fixture(scope="session")
def small_graph(small: Any) -> Any:
    """The small model, frozen once for all tests that only convert it."""
    from tfxfer_edge import freeze

    return freeze(small, preprocessing="in_graph")


@pytest.fixture(scope="session")
def run() -> Callable[..., np.ndarray]:
    return run_file


@pytest.fixture(scope="session")
def settled() -> Callable[..., Any]:
    return settle


@pytest.fixture(scope="session")
def exported(colour_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its export in two recipes; tests must not change it."""
    from tfxfer_edge import export

    out = tmp_path_factory.mktemp("out") / "edge"
    recipes = ("float32", "int8")
    result = export(colour_run, out, recipes=recipes, max_drop=None, calibration_images=20)
    assert result.path == out
    return out
