from __future__ import annotations

import json
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tfxfer.errors import ModelError, PluginImportError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.scoring import predict
from tfxfer.preprocessing import Preprocessing, Resize
from tfxfer.registry.lookup import Registry, get_head
from tfxfer_edge.predictor import load_tflite_predictor
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_writer import write_metadata

from . import photo_classifier as photos

READER = "tfxfer_edge.predictor:load_tflite_predictor"
FOUND = [str(file) for file in photos.FILES]


def registry_of(value: str) -> Registry:
    """Returns one that knows nothing but a reader."""
    return Registry([EntryPoint("tflite", value, "tfxfer.readers")])


def write_file(folder: Path, **options: Any) -> Path:
    card = ModelCard(
        name="photos",
        labels=photos.LABELS,
        preprocessing=photos.MINUS_ONE_TO_ONE,
        **options,
    )
    path = folder / "photos.tflite"
    path.write_bytes(write_metadata(photos.quantized(), card))
    return path


def test_predict_takes_the_file_as_it_takes_keras(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    found = load_predictor(path, registry=registry_of(READER))
    assert found.labels == photos.LABELS
    assert (found.head.name, found.modality.name) == ("classification", "image")
    assert found.size == photos.SIDE
    documents = predict(found, FOUND)
    # One photo per label, in the order of the labels, which is nobody's sorted order.
    assert [x["label"] for x in documents] == list(photos.LABELS)
    truth = predict(photos.predictor(), FOUND)
    for ours, theirs in zip(documents, truth, strict=True):
        assert list(ours["scores"]) == list(theirs["scores"]) == list(photos.LABELS)
        for label, score in theirs["scores"].items():
            assert ours["scores"][label] == pytest.approx(score, abs=0.02)


def test_the_commands_take_the_file(tmp_path: Path) -> None:
    from tfxfer.cli.evaluate import command as evaluate_command
    from tfxfer.cli.predict import command as predict_command

    path = write_file(tmp_path)
    done = CliRunner().invoke(predict_command, [str(path), FOUND[0], "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["label"] == "rocket"
    table = tmp_path / "photos.csv"
    for file in photos.FILES:
        shutil.copy(file, tmp_path)
    pairs = zip(photos.FILES, photos.LABELS, strict=True)
    rows = [f"{file.name},{label}" for file, label in pairs]
    table.write_text("\n".join(["path,label", *rows]) + "\n", encoding="utf-8")
    done = CliRunner().invoke(evaluate_command, [str(path), str(table), "--json"])
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout)
    assert metrics["accuracy"]["value"] == 1.0
    assert metrics["images"] == 6


def test_resize_and_threshold_come_from_the_file(tmp_path: Path) -> None:
    crop = Resize(fit="crop")
    found = load_tflite_predictor(write_file(tmp_path, resize=crop))
    assert found.contract.resize == crop
    path = write_file(tmp_path, metadata_kind="multilabel_classifier", threshold=0.125)
    assert load_tflite_predictor(path).head.options()["threshold"] == 0.125


def test_the_kind_of_metadata_picks_the_head(tmp_path: Path) -> None:
    for kind, head in (("multilabel_classifier", "multilabel"), ("regressor", "regression")):
        assert load_tflite_predictor(write_file(tmp_path, metadata_kind=kind)).head.name == head
    path = write_file(tmp_path, metadata_kind="features")
    with pytest.raises(ModelError, match=r"Received: 'features'.*--head"):
        load_tflite_predictor(path)
    assert load_tflite_predictor(path, head=photos.predictor().head).labels == photos.LABELS


def test_labels_of_another_order_are_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    assert load_tflite_predictor(path, labels=photos.LABELS).labels == photos.LABELS
    with pytest.raises(ModelError, match=r"expected its own labels, 'rocket', 'flôwer'"):
        load_tflite_predictor(path, labels=sorted(photos.LABELS))


def test_without_metadata_labels_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(photos.quantized())
    with pytest.raises(ModelError, match=r"expected 6 labels.*--labels.*Received: none"):
        load_tflite_predictor(path)
    with pytest.raises(ModelError, match=r"expected 6 labels.*Received: 2"):
        load_tflite_predictor(path, labels=("a", "b"))
    documents = predict(load_tflite_predictor(path, labels=photos.LABELS), FOUND)
    assert [x["label"] for x in documents] == list(photos.LABELS)


def test_a_float_file_without_metadata_is_refused_before_the_first_image(tmp_path: Path) -> None:
    path = tmp_path / "bare.tflite"
    path.write_bytes(photos.float_core())
    with pytest.raises(ModelError, match=r"expected metadata that says what pixels"):
        load_tflite_predictor(path, labels=photos.LABELS)
    found = load_tflite_predictor(path, labels=photos.LABELS, preprocessing=photos.MINUS_ONE_TO_ONE)
    assert [x["label"] for x in predict(found, FOUND)] == list(photos.LABELS)


def test_the_core_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"Try: pip install tfxfer-edge"):
        load_predictor(path, registry=Registry([]))
    with pytest.raises(PluginImportError, match=r"reader 'tflite'.*no_such_module"):
        load_predictor(path, registry=registry_of("no_such_module:read"))
    with pytest.raises(ModelError, match=r"expected"):
        load_predictor(path, registry=registry_of(READER))


def write_bare(folder: Path, activation: str, *, kind: str = "float", outputs: int = 6) -> Path:
    """Writes a file as others make it: pixels in, whatever the last layer says out, no metadata."""
    path, model = folder / "bare.tflite", photos.build(activation=activation, outputs=outputs)
    if kind == "float":
        path.write_bytes(photos.convert(model))
    else:
        calibration = Preprocessing()
        path.write_bytes(photos.convert(model, calibration=calibration, io="uint8"))
    return path


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("kind", "tolerance"), [("float", 1e-5), ("integer", 0.03)])
def test_logits_get_a_softmax(tmp_path: Path, kind: str, tolerance: float) -> None:
    path = write_bare(tmp_path, "linear", kind=kind)
    found = load_tflite_predictor(path, labels=photos.LABELS, preprocessing=Preprocessing())
    pixels = photos.squares()
    logits = np.asarray(photos.build(activation="linear")(pixels.astype(np.float32)))
    assert np.abs(logits.sum(axis=1) - 1).max() > 0.5  # the control: these are no probabilities
    np.testing.assert_allclose(found.score(pixels), softmax(logits), atol=tolerance)
    (remark,) = found.remarks
    assert "bare.tflite" in remark
    assert "a softmax was added" in remark


@pytest.mark.parametrize("kind", ["float", "integer"])
def test_probabilities_stay_as_they_are(tmp_path: Path, kind: str) -> None:
    path = write_bare(tmp_path, "softmax", kind=kind)
    found = load_tflite_predictor(path, labels=photos.LABELS, preprocessing=Preprocessing())
    assert found.remarks == ()
    model = TFLiteModel(path, preprocessing=Preprocessing())
    np.testing.assert_array_equal(found.score(photos.squares()), model.score(photos.squares()))


@pytest.mark.parametrize(("activation", "added"), [("sigmoid", ""), ("linear", "a sigmoid was")])
def test_one_output_is_two_labels(tmp_path: Path, activation: str, added: str) -> None:
    path = write_bare(tmp_path, activation, outputs=1)
    options: Any = {"preprocessing": Preprocessing()}
    found = load_tflite_predictor(path, labels=("other", "rocket"), **options)
    pixels = photos.squares()
    second = np.asarray(photos.build(activation="sigmoid", outputs=1)(pixels.astype(np.float32)))
    np.testing.assert_allclose(found.score(pixels), np.hstack([1 - second, second]), atol=1e-5)
    assert [x["label"] for x in predict(found, FOUND)] == ["rocket"] + ["other"] * 5
    assert added in found.remarks[0]
    assert "probability of 'rocket', the second label" in found.remarks[0]
    with pytest.raises(ModelError, match=r"expected 1 labels.*Received: 3"):
        load_tflite_predictor(path, labels=("a", "b", "c"), **options)


def test_outputs_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    path = write_bare(tmp_path, "sigmoid")
    options: Any = {"labels": photos.LABELS, "preprocessing": Preprocessing()}
    with pytest.raises(ModelError, match=r"sum to 1.*sums of.*ending in sigmoid.*multilabel"):
        load_tflite_predictor(path, **options)
    # The way out that it names.
    tags = load_tflite_predictor(path, head=get_head("multilabel"), **options)
    assert tags.score(photos.squares()).sum(axis=1).max() > 1.05
    relu = write_bare(tmp_path, "relu")
    with pytest.raises(ModelError, match=r"probabilities.*Received.*relu.*Softmax"):
        load_tflite_predictor(relu, **options)


def test_metadata_that_calls_logits_a_classifier_is_not_believed(tmp_path: Path) -> None:
    path = write_bare(tmp_path, "linear")
    card = ModelCard(name="guest", labels=photos.LABELS, preprocessing=Preprocessing())
    path.write_bytes(write_metadata(path.read_bytes(), card))
    scores = load_tflite_predictor(path).score(photos.squares())
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("io", "given", "words"),
    [
        ("uint8", photos.MINUS_ONE_TO_ONE, "its uint8 input takes pixels as they are"),
        ("float32", Preprocessing(), "the preprocessing that its metadata says"),
    ],
)
def test_what_a_file_says_itself_is_not_overruled(
    io: str, given: Preprocessing, words: str, tmp_path: Path
) -> None:
    card = ModelCard(name="p", labels=photos.LABELS, preprocessing=photos.MINUS_ONE_TO_ONE)
    content = photos.quantized(io=io) if io == "uint8" else photos.float_core()
    path = tmp_path / "model.tflite"
    path.write_bytes(write_metadata(content, card))
    with pytest.raises(ModelError, match=words):
        load_tflite_predictor(path, preprocessing=given)
    if io == "float32":  # the same said twice is no contradiction
        assert load_tflite_predictor(path, preprocessing=photos.MINUS_ONE_TO_ONE).labels
