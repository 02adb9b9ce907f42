"""A classifier of six real photos that trains in a tenth of a second, in Keras and as a file."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import sklearn.datasets

from tfxfer import Preprocessing
from tfxfer.images.decode import open_image, resize_image
from tfxfer.images.modality import ImageModality
from tfxfer.inference.predictor import Predictor
from tfxfer.preprocessing import Resize
from tfxfer.registry.lookup import get_head
from tfxfer.system.quiet import quiet_native

SIDE = 64
# Not sorted: an order that anything sorts would show.
LABELS = ("rocket", "flôwer", "astronaut", "china", "chelsea", "a cup of coffee")
MINUS_ONE_TO_ONE = Preprocessing.from_mean_std(mean=127.5, std=127.5)
ZERO_TO_ONE = Preprocessing.from_mean_std(mean=0.0, std=255.0)
PER_CHANNEL = Preprocessing.from_mean_std(mean=(124.0, 116.0, 104.0), std=(58.0, 57.0, 60.0))

_SKIMAGE = Path(skimage.data.__file__).parent
_SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
FILES = (
    _SKIMAGE / "rocket.jpg",
    _SKLEARN / "flower.jpg",
    _SKIMAGE / "astronaut.png",
    _SKLEARN / "china.jpg",
    _SKIMAGE / "chelsea.png",
    _SKIMAGE / "coffee.png",
)
"""One photo per label, in the labels' order."""


@cache
def crops() -> tuple[np.ndarray, np.ndarray]:
    """Returns random parts of the photos, uint8 (images, SIDE, SIDE, 3), and their classes."""
    rng = np.random.default_rng(0)
    pixels, classes = [], []
    for number, file in enumerate(FILES):
        photo = open_image(file)
        for _ in range(20):
            part = rng.uniform(0.7, 1)
            width, height = int(photo.width * part), int(photo.height * part)
            left = int(rng.integers(0, photo.width - width + 1))
            top = int(rng.integers(0, photo.height - height + 1))
            square = photo.crop((left, top, left + width, top + height))
            pixels.append(resize_image(square, SIDE))
            classes.append(number)
    return np.stack(pixels), np.array(classes)


@cache
def squares(resize: Resize | None = None) -> np.ndarray:
    """Returns the six photos, uint8 (6, SIDE, SIDE, 3)."""
    return np.stack([resize_image(open_image(file), SIDE, resize) for file in FILES])


@cache
def build(
    *,
    activation: str = "softmax",
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE,
    rescales: int = 1,
    outputs: int = len(LABELS),
) -> Any:
    """Returns a model trained on pixels after `preprocessing`, which it does `rescales` times."""
    import keras

    pixels, classes = crops()
    inputs = keras.Input((SIDE, SIDE, 3), name="pixels")
    x = inputs
    for number in range(rescales):
        x = keras.layers.Rescaling(
            list(preprocessing.scale), list(preprocessing.offset), name=f"rescale_{number}"
        )(x)
    x = keras.layers.AveragePooling2D(SIDE // 4)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(outputs, activation=activation, name="scores")(x)
    model = keras.Model(inputs, x, name="photos")
    values = preprocessing.apply(pixels)
    cell = SIDE // 4
    features = values.reshape(-1, 4, cell, 4, cell, 3).mean(axis=(2, 4)).reshape(len(values), -1)
    design = np.c_[features / features.std(), np.ones(len(features))]
    targets = np.eye(len(LABELS))[classes][:, :outputs] - 1 / len(LABELS)
    gram = design.T @ design + 3 * np.eye(design.shape[1])
    # Times 4, and not more: where one score is always 1, a wrong contract does not show.
    solved = 4 * np.linalg.solve(gram, design.T @ targets)
    model.get_layer("scores").set_weights([solved[:-1] / features.std(), solved[-1]])
    return model


@cache
def predictor(**options: Any) -> Predictor:
    """Returns the Keras model as what scores pixels; the truth that files are compared with."""
    head = options.pop("head", "classification")
    resize = options.pop("resize", None) or Resize()
    model = build(**options)
    return Predictor(
        source="photos",
        labels=LABELS[: model.outputs[0].shape[-1]],
        head=get_head(head),
        modality=ImageModality(),
        size=SIDE,
        contract=Preprocessing(resize=resize),
        score=lambda pixels: np.asarray(model(np.asarray(pixels, np.float32), training=False)),
    )


def convert(
    model: Any, *, calibration: Preprocessing | None = None, io: str = "uint8", batch: Any = 1
) -> bytes:
    """Returns a float32 file, or a full-integer one calibrated on the crops."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    spec = tf.TensorSpec((batch, SIDE, SIDE, 3), tf.float32, name="pixels")
    function = tf.function(lambda pixels: model(pixels, training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(spec))
    with quiet_native(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if calibration is not None:
            pixels = np.concatenate([crops()[0][::6], squares() * 0, squares() * 0 + 255])
            values = calibration.apply(pixels)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([value[None]] for value in values)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = getattr(tf, io)
            converter.inference_output_type = getattr(tf, io)
        return bytes(converter.convert())


@cache
def float_in_graph(activation: str = "softmax") -> bytes:
    """A float32 file that takes pixels 0..255."""
    return convert(build(activation=activation))


@cache
def float_core(preprocessing: Preprocessing = MINUS_ONE_TO_ONE) -> bytes:
    """A float32 file that takes pixels after `preprocessing`."""
    return convert(build(preprocessing=preprocessing, rescales=0))


@cache
def quantized(activation: str = "softmax", io: str = "uint8") -> bytes:
    """A full-integer file whose input's scale and zero point stand for -1..1."""
    model = build(activation=activation, rescales=0)
    return convert(model, calibration=MINUS_ONE_TO_ONE, io=io)
