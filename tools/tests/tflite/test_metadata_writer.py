from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import ModelError
from tfxfer.preprocessing import Resize
from tfxfer_edge.tflite import metadata_writer
from tfxfer_edge.tflite.card import CONTRACT_FILE, LABELS_FILE, ModelCard
from tfxfer_edge.tflite.flatbuffer import read_model
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos

CARD = ModelCard(
    name="photos",
    description="What a photo shows.",
    version="3",
    author="Ünal",
    licence="Apache-2.0",
    labels=photos.LABELS,
)


def content_of(name: str) -> tuple[bytes, Preprocessing | None]:
    return {
        "in_graph": (photos.float_in_graph, None),
        "core": (photos.float_core, photos.MINUS_ONE_TO_ONE),
        "per_channel": (lambda: photos.float_core(photos.PER_CHANNEL), photos.PER_CHANNEL),
        "uint8": (photos.quantized, photos.MINUS_ONE_TO_ONE),
        "int8": (lambda: photos.quantized(io="int8"), photos.MINUS_ONE_TO_ONE),
    }[name][0](), {
        "in_graph": None,
        "per_channel": photos.PER_CHANNEL,
    }.get(name, photos.MINUS_ONE_TO_ONE)


@pytest.mark.parametrize("name", ["in_graph", "core", "per_channel", "uint8", "int8"])
def test_what_is_written_is_read(name: str) -> None:
    content, preprocessing = content_of(name)
    resize = Resize(fit="crop", method="bicubic")
    card = replace(CARD, preprocessing=preprocessing, resize=resize)
    written = write_metadata(content, card)
    found = read_metadata(written)
    assert found is not None
    assert found.preprocessing is not None
    assert replace(found, preprocessing=preprocessing) == card
    wanted = preprocessing or Preprocessing()
    assert np.allclose(found.preprocessing.output_range, wanted.output_range, rtol=1e-5)
    assert found.preprocessing.resize == resize


def test_labels_are_packed_in_their_order() -> None:
    written = write_metadata(photos.float_in_graph(), CARD)
    with zipfile.ZipFile(BytesIO(written)) as archive:
        assert archive.namelist() == [CONTRACT_FILE, LABELS_FILE]
        lines = archive.read(LABELS_FILE).decode().split("\n")
    assert tuple(lines[:-1]) == photos.LABELS != tuple(sorted(photos.LABELS))


def test_the_model_itself_is_untouched() -> None:
    content = photos.quantized()
    card = replace(CARD, preprocessing=photos.MINUS_ONE_TO_ONE)
    written = write_metadata(content, card)
    before, after = TFLiteModel(content), TFLiteModel(written)
    assert (before.input, before.output) == (after.input, after.output)
    pixels = photos.squares()
    assert (before.score(pixels) == after.score(pixels)).all()
    # The same model and card are the same file, whenever they are written.
    assert write_metadata(content, card) == written
    # Writing anew replaces: nothing of the old card is left.
    other = replace(card, name="other", labels=tuple(reversed(photos.LABELS)))
    again = write_metadata(written, other)
    assert again == write_metadata(content, other)
    found = read_metadata(again)
    assert found is not None
    assert (found.name, found.labels) == ("other", other.labels)


def test_multilabel_regressor_and_features() -> None:
    content = photos.float_in_graph("sigmoid")
    card = replace(CARD, metadata_kind="multilabel_classifier", threshold=0.25, white=4095)
    found = read_metadata(write_metadata(content, card))
    assert found is not None
    assert (found.metadata_kind, found.threshold) == ("multilabel_classifier", 0.25)
    assert found.white == 4095
    content = photos.float_in_graph("linear")
    written = write_metadata(content, replace(CARD, metadata_kind="regressor"))
    found = read_metadata(written)
    assert found is not None
    assert (found.metadata_kind, found.labels) == ("regressor", photos.LABELS)
    found = read_metadata(write_metadata(content, ModelCard(name="f", metadata_kind="features")))
    assert found is not None
    assert (found.metadata_kind, found.labels) == ("features", ())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (photos.LABELS[:5], "expected 6 labels, one per output. Received: 5"),
        ((*photos.LABELS[:5], "rocket"), "no two alike. Received: label='rocket'"),
        ((*photos.LABELS[:5], "a\nb"), "labels of one line each"),
        ((*photos.LABELS[:5], " "), "not blank"),
        ((), "expected the labels of a classifier"),
    ],
)
def test_labels_that_cannot_be(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        write_metadata(photos.float_in_graph(), replace(CARD, labels=labels))
    assert message in str(caught.value)


def test_unknown_kind() -> None:
    with pytest.raises(ModelError, match=r"metadata_kind='detector'"):
        ModelCard(name="x", metadata_kind="detector")


@pytest.mark.parametrize("preprocessing", [None, photos.ZERO_TO_ONE, photos.PER_CHANNEL])
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_a_quantized_input_must_stand_for_the_preprocessing(
    io: str, preprocessing: Preprocessing | None
) -> None:
    with pytest.raises(ModelError, match=r"expected an input whose scale and zero point make"):
        write_metadata(photos.quantized(io=io), replace(CARD, preprocessing=preprocessing))


def test_outputs_that_change_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(content: bytes) -> Any:
        model = read_model(content)
        weights = max(model.buffers, key=lambda x: 0 if x.data is None else len(x.data))
        weights.data = weights.data[::-1].copy()
        return model

    monkeypatch.setattr(metadata_writer, "read_model", spoil)
    with pytest.raises(ModelError, match=r"expected the same outputs"):
        write_metadata(photos.quantized(), replace(CARD, preprocessing=photos.MINUS_ONE_TO_ONE))


def test_a_card_read_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(content: bytes) -> ModelCard:
        found = read_metadata(content)
        assert found is not None
        return replace(found, author="somebody")

    monkeypatch.setattr(metadata_writer, "read_metadata", forget)
    with pytest.raises(ModelError, match=r"author='somebody' for 'Ünal'"):
        write_metadata(photos.float_in_graph(), CARD)


def test_rewritten_reference_file_keeps_its_scores(shared: Path) -> None:
    path = shared / "reference" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    model = TFLiteModel(path)
    card = ModelCard(
        name="mobilenet_v2",
        labels=tuple(f"class {number}" for number in range(model.outputs)),
        preprocessing=model.preprocessing,
    )
    written = TFLiteModel(write_metadata(path.read_bytes(), card))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    assert (written.score(pixels) == model.score(pixels)).all()


def test_packed_files_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_writer, "read_files", lambda _: {LABELS_FILE: b"rocket"})
    with pytest.raises(ModelError, match=r"packed behind it, as they were"):
        write_metadata(photos.float_in_graph(), CARD)


def test_nothing_but_flatbuffers_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorflow_lite_support", "tflite_support", "mediapipe"):
        monkeypatch.setitem(sys.modules, name, None)
    found = read_metadata(write_metadata(photos.float_in_graph(), CARD))
    assert found is not None
    assert found.labels == photos.LABELS
