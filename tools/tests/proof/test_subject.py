"""What cannot be exported is refused in one line, before the work begins."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from tfxfer.errors import ModelError
from tfxfer.run.directory import RunDirectory
from tfxfer.sample import InputSpec
from tfxfer.stages import ModelInfo
from tfxfer_edge import convert, export
from tfxfer_edge.proof.subject import open_subject
from tfxfer_heads import Classification


class Grades(Classification):
    """A head whose kind of metadata nobody writes."""

    name = "grades"
    metadata_kind = "grader"


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes that head the one of every run."""
    monkeypatch.setattr("tfxfer_edge.proof.opened.get_head", lambda *_, **__: Grades())


def refuse_work(*_: object, **__: object) -> None:
    raise AssertionError("work has begun")


@pytest.mark.usefixtures("graded")
def test_a_kind_of_metadata_that_is_unknown(
    colour_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer_edge.proof.opened.load_model", refuse_work)
    with pytest.raises(ModelError) as caught:
        export(colour_run, tmp_path / "edge")
    line = str(caught.value)
    assert "head 'grades' with metadata_kind='grader'" in line
    assert "one of classifier, multilabel_classifier, regressor, features" in line
    assert "--recipe onnx" in line
    assert "\n" not in line
    assert not (tmp_path / "edge").exists()


def test_a_file_of_such_a_head(
    colour_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer_edge.proof.opened.open_source", refuse_work)
    with pytest.raises(ModelError, match="metadata_kind='grader'"):
        open_subject(
            shutil.copy(colour_run.model_path, tmp_path / "mine.keras"),
            calibration=colour_run.read_manifest().request["data"],
            labels=colour_run.read_labels(),
            head=Grades(),
        )


@pytest.mark.usefixtures("graded")
def test_onnx_needs_no_metadata(colour_run: RunDirectory, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    document = export(colour_run, tmp_path / "edge", recipes=("onnx",)).document
    assert document["chosen"] == "onnx"
    with pytest.raises(ModelError, match="metadata_kind"):
        export(colour_run, tmp_path / "both", recipes=("onnx", "float32"))


def info_of(modality: str) -> ModelInfo:
    specs = {name: InputSpec((16,)) for name in ("ids", "mask", "segment_ids")}
    kind: Any = SimpleNamespace(name=modality, list_inputs=lambda size, contract: specs)
    return ModelInfo("theirs", Classification(), ("a", "b"), kind, 16, None, stages=())


def windows() -> Any:
    inputs = keras.Input((128, 6), name="window")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 5)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x), name="gait")
    model.tfxfer_info = info_of("windows")
    return model


def text() -> Any:
    ids, mask = keras.Input((16,), name="ids"), keras.Input((16,), name="mask")
    x = keras.layers.Dense(2)(keras.layers.Multiply()([ids, mask]))
    model = keras.Model([ids, mask], x, name="mood")
    model.tfxfer_info = info_of("text")
    return model


def spectrogram() -> Any:
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, x, name="birds")
    model.tfxfer_info = info_of("sound")
    return model


def unknown() -> Any:
    inputs = keras.Input((128, 6))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)), name="flat")


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (windows, "model 'gait':.*files are made for: image, text. Received: modality 'windows'."),
        (text, "model 'mood': .* modality 'text', {'ids': (16,), 'mask': (16,), 'segment_ids': "),
        # It has the shape of an image, and is none.
        (spectrogram, "model 'birds': .* Received: modality 'sound'."),
        (unknown, "model 'flat': .* Received: 1 inputs, of shape (None, 128, 6)."),
    ],
)
def test_an_input_that_is_no_image(
    make: Any,
    received: str,
    colour_run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make()
    named, _, shown = received.partition(".*")
    monkeypatch.setattr("tfxfer_edge.proof.opened.load_model", lambda _: model)
    monkeypatch.setattr("tfxfer_edge.proof.opened.freeze", refuse_work)
    for call in (
        lambda: export(colour_run, tmp_path / "edge"),
        lambda: convert(model, recipe="float32", preprocessing="in_graph"),
        lambda: convert(model, recipe="onnx", preprocessing="in_graph"),
    ):
        with pytest.raises(ModelError) as caught:
            call()
        line = str(caught.value)
        assert line.startswith(named.strip())
        assert shown.strip() in line
        assert "\n" not in line
    assert not (tmp_path / "edge").exists()
