from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfxfer.errors import DataError, ModelError, PluginImportError
from tfxfer.images.decode import open_image, resize_image
from tfxfer.system.files import to_json
from tfxfer_edge.proof import mediapipe as mediapipe_client
from tfxfer_edge.proof.parity import check_parity
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos
from .photo_files import content_of, write_file


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


@pytest.mark.usefixtures("mediapipe")
def test_multilabel_and_values(tmp_path: Path) -> None:
    path = write_file(
        tmp_path, photos.float_in_graph("sigmoid"), metadata_kind="multilabel_classifier"
    )
    keras = photos.predictor(activation="sigmoid", head="multilabel")
    found = check_parity(keras, path, photos.FILES, mediapipe=True)
    assert found.mediapipe is not None
    assert found.mediapipe.largest < 1e-5
    assert found.mediapipe.top1 == found.interpreter.top1 == 1.0
    path = write_file(tmp_path, photos.float_in_graph("linear"), metadata_kind="regressor")
    keras = photos.predictor(activation="linear", head="regression")
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
    monkeypatch.setattr(mediapipe_client, "find_spec", lambda name: None)
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
    from tfxfer.inference.keras_model import wrap_model
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
        found = check_parity(wrap_model(model), path, unseen, mediapipe=True)
        assert found.interpreter.mean < tolerance
        assert found.mediapipe is not None
        # On photos that we resized MediaPipe is our interpreter.
        assert found.mediapipe.top1 == found.interpreter.top1
        assert found.mediapipe.mean == pytest.approx(found.interpreter.mean, abs=1e-6)
        assert found.interpreter.top1 is not None
        assert found.interpreter.top1 >= 0.85
        assert found.contract is None
