from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfxfer import Preprocessing
from tfxfer.errors import ModelError
from tfxfer_edge.tflite.flatbuffer import read_model
from tfxfer_edge.tflite.interpreter import Tensor, TFLiteModel

from .. import photo_classifier as photos

QUANTIZED_OFF = 0.02  # of a probability; one step of the output is 0.004


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return photos.predictor().score(photos.squares())


def load(name: str) -> TFLiteModel:
    if name == "in_graph":
        return TFLiteModel(photos.float_in_graph(), preprocessing=Preprocessing())
    if name == "core":
        return TFLiteModel(photos.float_core(), preprocessing=photos.MINUS_ONE_TO_ONE)
    if name.startswith("batch"):
        batch = {"batch_free": None, "batch_4": 4}[name]
        content = photos.convert(photos.build(), batch=batch)
        return TFLiteModel(content, preprocessing=Preprocessing())
    return TFLiteModel(photos.quantized(io=name))


@pytest.mark.parametrize("name", ["in_graph", "core", "batch_free", "batch_4", "uint8", "int8"])
def test_scores_are_keras_scores(name: str, truth: np.ndarray) -> None:
    model = load(name)
    tolerance = QUANTIZED_OFF if name in ("uint8", "int8") else 1e-5
    scores = model.score(photos.squares())
    assert scores.dtype == np.float32
    assert scores.shape == (6, 6)
    assert np.abs(scores - truth).max() < tolerance
    # The same check fails for the same photos with red and blue exchanged.
    assert np.abs(model.score(photos.squares()[..., ::-1]) - truth).max() > 5 * tolerance


@pytest.mark.parametrize("name", ["batch_free", "batch_4", "in_graph"])
def test_any_number_of_images(name: str) -> None:
    model = load(name)
    pixels = np.concatenate([photos.squares()] * 2)
    whole = model.score(pixels)
    for count in (1, 4, 5, 9):
        assert np.abs(model.score(pixels[:count]) - whole[:count]).max() < 1e-6
    assert model.score(pixels[:0]).shape == (0, 6)


def test_ends_are_described() -> None:
    model = load("uint8")
    assert model.input.shape == (1, 64, 64, 3)
    assert model.input.dtype == model.output.dtype == "uint8"
    assert model.input.scale == pytest.approx(2 / 255)
    assert model.input.zero_point in (127, 128)
    assert (model.image_size, model.outputs, model.is_dynamic) == (64, 6, False)
    assert load("batch_free").input.shape[0] == -1
    assert load("batch_free").is_dynamic


def test_uint8_takes_pixels_as_they_are() -> None:
    pixels = photos.squares()
    assert (load("uint8").encode(pixels.astype(np.float32)) == pixels).all()
    assert (load("int8").encode(pixels).astype(np.int16) + 128 == pixels).all()
    low, high = load("uint8").preprocessing.output_range[0]
    assert (low, high) == pytest.approx((-1, 1), abs=0.005)


def test_float_without_a_word_about_pixels_is_refused() -> None:
    with pytest.raises(ModelError, match=r"expected metadata that says what pixels"):
        TFLiteModel(photos.float_core()).score(photos.squares())


def test_tensor_quantizes_and_clips() -> None:
    tensor = Tensor("x", (1,), "int16", scale=0.5, zero_point=10)
    steps = tensor.quantize(np.array([0.0, 1.0, 1e9]))
    assert steps.tolist() == [10, 12, 32767]
    assert tensor.dequantize(steps[:2]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4" * 8, bytes(64), b"\0\0\0\0TFL3" * 9])
def test_what_is_no_tflite_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model '.*broken\.tflite': expected") as caught:
        TFLiteModel(path)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.tflite", tmp_path):
        with pytest.raises(ModelError, match=r"expected a \.tflite file"):
            TFLiteModel(path)


def test_truncated_anywhere() -> None:
    content = photos.quantized()
    for length in [*range(0, len(content), 97), len(content) - 8, len(content) - 1]:
        with pytest.raises(ModelError):
            TFLiteModel(content[:length])
    TFLiteModel(content)


def test_weights_behind_the_end_are_not_followed() -> None:
    model = read_model(photos.float_core())
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    size = len(largest.data)
    largest.data = None
    pack = schema.BufferT.Pack

    def pack_outside(buffer: Any, builder: Any) -> Any:
        if buffer is not largest:
            return pack(buffer, builder)
        schema.BufferStart(builder)
        schema.BufferAddOffset(builder, 1 << 30)
        schema.BufferAddSize(builder, size)
        return schema.BufferEnd(builder)

    import flatbuffers

    builder = flatbuffers.Builder(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema.BufferT, "Pack", pack_outside)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(ModelError, match=r"expected a whole TFLite file"):
        TFLiteModel(bytes(builder.Output()))


def test_several_inputs_are_refused() -> None:
    import keras

    shape = (photos.SIDE, photos.SIDE, 3)
    left, right = keras.Input(shape), keras.Input(shape)
    with pytest.raises(ModelError, match=r"expected one input and one output\. Received: 2 and 1"):
        TFLiteModel(convert_any(keras.Model([left, right], keras.layers.Add()([left, right]))))


@pytest.mark.parametrize("shape", [(8,), (32, 64, 3), (32, 32, 2)])
def test_what_is_no_image_model(shape: tuple[int, ...]) -> None:
    import keras

    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inputs))
    with pytest.raises(ModelError, match=r"expected a square image input"):
        TFLiteModel(convert_any(keras.Model(inputs, outputs)))


def test_pixels_of_another_size() -> None:
    with pytest.raises(ModelError, match=r"expected pixels \(images, 64, 64, 3\)"):
        load("uint8").score(np.zeros((1, 32, 32, 3)))


def convert_any(model: Any) -> bytes:
    import tensorflow as tf

    from tfxfer.system.quiet import quiet_native

    specs = [tf.TensorSpec((1, *x.shape[1:]), tf.float32) for x in model.inputs]
    function = tf.function(
        lambda *x: model(x[0] if len(x) == 1 else list(x), training=False), input_signature=specs
    )
    with quiet_native():
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], model
        )
        return bytes(converter.convert())
