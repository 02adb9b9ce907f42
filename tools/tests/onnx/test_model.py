from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import ModelError
from tfxfer_edge.onnx.metadata import write_onnx_metadata
from tfxfer_edge.onnx.model import OnnxImageModel, OnnxSampleModel
from tfxfer_edge.tflite.card import ModelCard

from ..onnx_files import LABELS, SIDE, build_onnx, paint_colours

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ZERO_TO_ONE = Preprocessing.from_mean_std(mean=0.0, std=255.0)


@pytest.mark.parametrize(
    "shape",
    [("batch", 3, SIDE, SIDE), (None, SIDE, SIDE, 3), (1, 3, SIDE, SIDE), (2, SIDE, SIDE, 3)],
    ids=["channels first", "channels last", "one at a time", "two at a time"],
)
def test_pixels_go_in_with_their_channels_last(shape: tuple[Any, ...]) -> None:
    model = OnnxImageModel(build_onnx(shape=shape), preprocessing=ZERO_TO_ONE)
    assert (model.image_size, model.outputs) == (SIDE, 3)
    pixels = paint_colours()
    scores = model.score(pixels)
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    means = pixels.mean(axis=(1, 2)) / 255
    powers = np.exp(4 * means)
    np.testing.assert_allclose(scores, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    # The control: a model that took its rows for channels would not see other channels.
    assert np.abs(model.score(pixels[..., ::-1]) - scores).max() > 0.1


def test_bytes_are_taken_as_they_are() -> None:
    model = OnnxImageModel(build_onnx(pixels="UINT8"))
    assert model.input.dtype == "uint8"
    assert model.score(paint_colours()).argmax(axis=1).tolist() == [0, 1, 2]


def test_floats_of_a_file_that_says_nothing_need_a_word() -> None:
    with pytest.raises(ModelError, match="expected metadata that says what pixels go through"):
        OnnxImageModel(build_onnx()).score(paint_colours())


def test_an_output_whose_size_the_file_does_not_state_is_found() -> None:
    assert OnnxImageModel(build_onnx(output_shape=("batch", "classes"))).outputs == 3


def test_a_free_size_is_the_one_that_the_file_is_meant_for() -> None:
    card = ModelCard(name="texts", labels=LABELS, modality="text", size=SIDE, contract={})
    content = build_onnx(shape=("batch", 3, "height", "width"))
    model = OnnxSampleModel(write_onnx_metadata(content, card, outputs=3))
    assert model.inputs[0].shape == (-1, 3, SIDE, SIDE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"inputs": 2}, "expected one input and one output. Received: 2 and 1"),
        ({"shape": ("batch", 3, "height", "width")}, r"fixed size.*'height', 'width'.*Export it"),
        ({"shape": ("batch", SIDE, SIDE, 4)}, r"square image input.*Received: shape=\(-1, 8, 8, 4"),
        ({"shape": ("batch", 3, SIDE, 12)}, r"square image input.*\(-1, 8, 12, 3\)"),
        ({"pixels": "DOUBLE"}, "'pixels' is float64"),
    ],
    ids=["two inputs", "free sizes", "four channels", "no square", "double"],
)
def test_what_is_no_model_of_one_photo_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        OnnxImageModel(build_onnx(**options), preprocessing=ZERO_TO_ONE)
    assert len(str(caught.value).splitlines()) == 1


def test_a_graph_that_the_runtime_does_not_take(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    path.write_bytes(build_onnx().replace(b"MatMul", b"MatPul"))
    with pytest.raises(ModelError, match=r"strange\.onnx.*expected a file that onnxruntime runs"):
        OnnxSampleModel(path)


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfxfer_edge.onnx.model.importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install onnxruntime$"):
        OnnxSampleModel(build_onnx())
