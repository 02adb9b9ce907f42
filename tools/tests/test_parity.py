from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Preprocessing
from tfxfer.data.decode import open_image, resize_image
from tfxfer.errors import DataError, ModelError, PluginImportError
from tfxfer.preprocessing import Resize
from tfxfer.storage import to_json
from tfxfer_edge import parity
from tfxfer_edge.flatbuffer import read_model, write_model
from tfxfer_edge.interpreter import TFLiteModel
from tfxfer_edge.metadata import ModelCard, write_metadata
from tfxfer_edge.parity import MediaPipeClassifier, check_parity, diagnose_contract

from . import photo_classifier as photos

pytestmark = pytest.mark.versions

pytest.importorskip(
    "tensorflow_lite_support", reason="tflite-support is not installed (Python 3.11 only)"
)

CARD = ModelCard(name="photos", labels=photos.LABELS)


def write_file(
    folder: Path, content: bytes, preprocessing: Preprocessing | None = None, **options: Any
) -> Path:
    card = replace(CARD, preprocessing=preprocessing, **options)
    path = folder / "photos.tflite"
    path.write_bytes(write_metadata(content, card))
    return path


def content_of(name: str) -> tuple[bytes, Preprocessing | None]:
    if name == "in_graph":
        return photos.float_in_graph(), None
    if name == "core":
        return photos.float_core(), photos.MINUS_ONE_TO_ONE
    return photos.quantized(), photos.MINUS_ONE_TO_ONE


@pytest.fixture(scope="module")
def mediapipe() -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")


@pytest.mark.parametrize("name", ["in_graph", "core", "uint8"])
@pytest.mark.usefixtures("mediapipe")
def test_three_ways_agree(name: str, tmp_path: Path) -> None:
    found = check_parity(
        photos.predictor(), write_file(tmp_path, *content_of(name)), photos.FILES, mediapipe=True
    )
    tolerance = 0.02 if name == "uint8" else 1e-5
    assert found.images == 6
    assert found.mediapipe is not None
    for client in (found.interpreter, found.mediapipe):
        assert client.largest < tolerance
        assert client.mean <= client.largest
        assert client.top1 == 1.0
    # MediaPipe resizes by the nearest pixel: its scores differ, these six answers do not.
    assert found.mediapipe_raw is not None
    assert found.mediapipe_raw.top1 == 1.0
    assert found.mediapipe_raw.largest >= found.mediapipe.largest
    assert found.contract is None
    assert found.mediapipe_note is None
    document = json.loads(to_json(found.to_dict()))
    assert document["mediapipe"]["top1"] == 1.0


@pytest.mark.parametrize("name", ["in_graph", "uint8"])
@pytest.mark.usefixtures("mediapipe")
def test_mediapipe_names_what_we_name(name: str, tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, *content_of(name)))
    with MediaPipeClassifier(model) as client:
        for number, square in enumerate(photos.squares()):
            scores, names = client.classify(square)
            assert names == photos.LABELS
            assert names[scores.argmax()] == photos.LABELS[number]
            assert np.abs(scores - model.score(square[None])[0]).max() < 1e-6


@pytest.mark.usefixtures("mediapipe")
def test_mediapipe_takes_the_nearest_pixel(tmp_path: Path) -> None:
    model = TFLiteModel(write_file(tmp_path, photos.quantized(), photos.MINUS_ONE_TO_ONE))
    photo = open_image(photos.FILES[0]).resize((8 * photos.SIDE, 4 * photos.SIDE))
    pixels = np.asarray(photo)
    with MediaPipeClassifier(model) as client:
        scores, _ = client.classify(pixels)
    # Pixels 0, 8, 16, … of each row: the top left one of each block.
    assert np.abs(scores - model.score(pixels[None, ::4, ::8])[0]).max() < 1e-6


@pytest.mark.usefixtures("mediapipe")
def test_multilabel_and_values(tmp_path: Path) -> None:
    path = write_file(
        tmp_path, photos.float_in_graph("sigmoid"), metadata_kind="multilabel_classifier"
    )
    keras = photos.predictor(activation="sigmoid", task="multilabel")
    found = check_parity(keras, path, photos.FILES, mediapipe=True)
    assert found.mediapipe is not None
    assert found.mediapipe.largest < 1e-5
    assert found.mediapipe.top1 == found.interpreter.top1 == 1.0
    path = write_file(tmp_path, photos.float_in_graph("linear"), metadata_kind="regressor")
    keras = photos.predictor(activation="linear", task="regression")
    found = check_parity(keras, path, photos.FILES, mediapipe=True)
    assert found.mediapipe is not None
    # Values below 0 come through, too.
    assert keras.score(photos.squares()).min() < 0
    assert found.mediapipe.largest < 1e-4
    assert found.interpreter.top1 is None


@pytest.mark.usefixtures("mediapipe")
def test_mediapipe_refuses_normalization_per_channel(tmp_path: Path) -> None:
    path = write_file(tmp_path, photos.float_core(photos.PER_CHANNEL), photos.PER_CHANNEL)
    keras = photos.predictor(preprocessing=photos.PER_CHANNEL)
    found = check_parity(keras, path, photos.FILES)
    assert found.interpreter.largest < 1e-5
    assert found.mediapipe is None
    assert found.mediapipe_note is not None
    assert "Per-channel" in found.mediapipe_note
    with pytest.raises(ModelError, match=r"expected a file MediaPipe takes"):
        check_parity(keras, path, photos.FILES, mediapipe=True)
    # In the graph it is taken.
    path = write_file(tmp_path, photos.convert(photos.build(preprocessing=photos.PER_CHANNEL)))
    found = check_parity(keras, path, photos.FILES, mediapipe=True)
    assert found.mediapipe is not None
    assert found.mediapipe.largest < 1e-5


def test_int8_and_missing_mediapipe_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path, photos.quantized(io="int8"), photos.MINUS_ONE_TO_ONE)
    monkeypatch.setattr(parity, "find_spec", lambda name: None)
    found = check_parity(photos.predictor(), path, photos.FILES[:2])
    assert found.interpreter.top1 == 1.0
    assert found.mediapipe_note is not None
    assert "pip install mediapipe" in found.mediapipe_note
    with pytest.raises(PluginImportError):
        check_parity(photos.predictor(), path, photos.FILES[:2], mediapipe=True)
    monkeypatch.undo()
    pytest.importorskip("mediapipe", reason="mediapipe is not installed")
    found = check_parity(photos.predictor(), path, photos.FILES[:2])
    assert found.mediapipe_note is not None
    assert "expected a uint8 or float32 input" in found.mediapipe_note


def reverse_channels(content: bytes) -> bytes:
    """Returns the file with blue first: what a model trained on BGR is when nobody says so."""
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        shape = [] if tensor.shape is None else list(tensor.shape)
        if data is not None and shape == [6, 48]:
            values = np.asarray(data, np.uint8).view(np.float32).reshape(6, 16, 3)
            model.buffers[tensor.buffer].data = (
                np.ascontiguousarray(values[..., ::-1]).ravel().view(np.uint8)
            )
            return write_model(model)
    raise AssertionError("no weights of shape (6, 48)")


WRONG = {
    "0..1 for -1..1": lambda: (photos.float_core(), photos.ZERO_TO_ONE, {}),
    "-1..1 for 0..1": lambda: (
        photos.float_core(photos.ZERO_TO_ONE),
        photos.MINUS_ONE_TO_ONE,
        {"preprocessing": photos.ZERO_TO_ONE},
    ),
    "no rescale: pixels reach the model as 0..255, it was trained on -1..1": lambda: (
        photos.float_core(),
        None,
        {},
    ),
    "no rescale: pixels reach the model as 0..255, it was trained on 0..1": lambda: (
        photos.float_core(photos.ZERO_TO_ONE),
        None,
        {"preprocessing": photos.ZERO_TO_ONE},
    ),
    "double rescale: the file makes pixels -1..1": lambda: (
        photos.float_in_graph(),
        photos.MINUS_ONE_TO_ONE,
        {},
    ),
    "double rescale: the graph rescales pixels to -1..1 twice": lambda: (
        photos.convert(photos.build(rescales=2)),
        None,
        {},
    ),
    "BGR for RGB": lambda: (reverse_channels(photos.float_in_graph()), None, {}),
}


@pytest.mark.parametrize("wanted", WRONG)
def test_a_wrong_contract_is_named(wanted: str, tmp_path: Path) -> None:
    content, stated, truth = WRONG[wanted]()
    path = write_file(tmp_path, content, stated)
    found = check_parity(photos.predictor(**truth), path, photos.FILES, mediapipe=False)
    assert found.contract is not None
    assert found.contract.startswith(wanted), found.contract
    assert found.interpreter.largest > 0.1


@pytest.mark.parametrize("resize", [Resize(fit="crop"), Resize(fit="pad")])
def test_another_resize_is_named(resize: Resize, tmp_path: Path) -> None:
    path = write_file(tmp_path, photos.float_in_graph(), resize=resize)
    files = []
    for number, file in enumerate(photos.FILES):
        # Between two others: what is cropped or padded sees another picture.
        row = [open_image(photos.FILES[(number + step) % 6]) for step in (1, 0, 2)]
        wide = np.concatenate([np.asarray(x.resize((200, 200))) for x in row], axis=1)
        files.append(tmp_path / f"{file.stem}.png")
        Image.fromarray(wide).save(files[-1])
    model = TFLiteModel(path)
    line = diagnose_contract(photos.predictor(), model, files)
    wanted = f"another resize: the file says {resize.fit}, bilinear, the model wants stretch"
    assert line is not None
    assert line.startswith(wanted)
    # Trained that way, nothing is wrong with it.
    assert diagnose_contract(photos.predictor(resize=resize), model, files) is None


def test_what_is_right_is_not_called_wrong(tmp_path: Path) -> None:
    for name in ("in_graph", "core", "uint8"):
        path = write_file(tmp_path, *content_of(name))
        assert diagnose_contract(photos.predictor(), TFLiteModel(path), photos.FILES) is None


def test_broken_weights_are_no_contract(tmp_path: Path) -> None:
    model = photos.build(activation="softmax", rescales=0)
    kernel, bias = model.get_layer("scores").get_weights()
    shuffled = np.random.default_rng(0).permutation(kernel.ravel()).reshape(kernel.shape)
    model.get_layer("scores").set_weights([shuffled, bias])
    try:
        path = write_file(tmp_path, photos.convert(model), photos.MINUS_ONE_TO_ONE)
    finally:
        model.get_layer("scores").set_weights([kernel, bias])
    found = check_parity(photos.predictor(), path, photos.FILES, mediapipe=False)
    assert found.interpreter.top1 is not None
    assert found.interpreter.top1 < 0.7
    assert found.interpreter.largest > 0.5
    assert found.contract is None


def test_labels_in_another_order_are_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, photos.float_in_graph(), labels=tuple(sorted(photos.LABELS)))
    with pytest.raises(ModelError, match=r"in their order"):
        check_parity(photos.predictor(), path, photos.FILES)


def test_no_images_and_other_outputs(tmp_path: Path) -> None:
    path = write_file(tmp_path, photos.float_in_graph())
    with pytest.raises(DataError, match=r"at least one image"):
        check_parity(photos.predictor(), path, [])
    with pytest.raises(ModelError, match=r"expected 4 outputs"):
        check_parity(photos.predictor(outputs=4), path, photos.FILES)


@pytest.mark.slow
@pytest.mark.usefixtures("mediapipe")
def test_a_real_backbone_on_real_flowers(shared: Path, tmp_path: Path) -> None:
    import keras

    import tfxfer
    from tfxfer.inference import Predictor
    from tfxfer_edge import convert

    labels = ("tulip", "daisy", "rose", "dandelion", "sunflower")
    files = {x: sorted((shared / "data" / "flowers5" / x).rglob("*.jpg"))[:30] for x in labels}
    weights = shared / "weights" / "mobilenet_v2_0.35_224_notop.weights.h5"
    model = tfxfer.build_model("mobilenet_v2_035", labels=labels, image_size=96, weights=weights)
    pixels = np.stack([resize_image(open_image(f), 96) for x in labels for f in files[x][:24]])
    head = model.get_layer("head_dense")
    features = keras.Model(model.inputs[0], head.input).predict(pixels, verbose=0)
    design = np.c_[features, np.ones(len(features))]
    targets = np.repeat(np.eye(5), 24, axis=0) - 0.2
    gram = design.T @ design + 10 * np.eye(design.shape[1])
    solved = 6 * np.linalg.solve(gram, design.T @ targets)
    head.set_weights([solved[:-1], solved[-1]])
    unseen = [file for x in labels for file in files[x][24:]]
    for recipe, tolerance in (("float32", 1e-4), ("int8", 0.06)):
        converted = convert(model, recipe=recipe, calibration=pixels[::2], preprocessing="in_graph")
        card = ModelCard(name="flowers", labels=labels, preprocessing=converted.normalization)
        path = tmp_path / f"{recipe}.tflite"
        path.write_bytes(write_metadata(converted.content, card))
        found = check_parity(Predictor.from_model(model), path, unseen, mediapipe=True)
        assert found.interpreter.mean < tolerance
        assert found.mediapipe is not None
        # On photos that we resized MediaPipe is our interpreter.
        assert found.mediapipe.top1 == found.interpreter.top1
        assert found.mediapipe.mean == pytest.approx(found.interpreter.mean, abs=1e-6)
        assert found.interpreter.top1 is not None
        assert found.interpreter.top1 >= 0.85
        assert found.contract is None
