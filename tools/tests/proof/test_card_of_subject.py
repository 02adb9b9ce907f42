"""What a file says of its head is what the model was trained with: it is scored by the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.preprocessing import Preprocessing
from tfxfer.registry.lookup import get_head
from tfxfer_edge.predictor import load_tflite_predictor
from tfxfer_edge.proof.subject import Subject
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_reader import read_metadata
from tfxfer_edge.tflite.metadata_writer import write_metadata

from .. import photo_classifier as photos


def card_of(head: Head) -> ModelCard:
    """Returns what a file says that was exported from a run with this head."""
    predictor = replace(photos.predictor(), head=head)
    nothing: Any = None
    subject = Subject(
        Path("run"), Path("run"), nothing, nothing, predictor, nothing, nothing,
        ("photos", "made here", ""),
    )  # fmt: skip
    converted: Any = SimpleNamespace(
        recipe=SimpleNamespace(name="float32"),
        modality="image",
        normalization=Preprocessing(),
    )
    return subject.make_card(converted)


ACTIVATIONS = {"classifier": "softmax", "multilabel_classifier": "sigmoid", "regressor": "linear"}


def write(folder: Path, card: ModelCard) -> Path:
    path = folder / "model.tflite"
    content = photos.float_in_graph(ACTIVATIONS[card.metadata_kind])
    path.write_bytes(write_metadata(content, card))
    return path


def test_a_threshold_of_ones_own_is_the_files_own(tmp_path: Path) -> None:
    trained = get_head("multilabel", options={"threshold": 0.3})
    path = write(tmp_path, card_of(trained))
    found = load_tflite_predictor(path)
    assert found.head.options()["threshold"] == 0.3
    scores = np.array([[0.4, 0.29, 0.1, 0.6, 0.2, 0.31]])
    labels = found.labels
    assert found.head.decode(scores, labels) == trained.decode(scores, labels)
    # The default head answers otherwise: a file that forgot the threshold would.
    assert found.head.decode(scores, labels) != get_head("multilabel").decode(scores, labels)
    # Clients that know nothing of our heads read it, too.
    card = read_metadata(path.read_bytes())
    assert card is not None
    assert card.threshold == 0.3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("classification", {"label_smoothing": 0.05}),
        ("prototype", {"metric": "euclidean"}),
        ("regression", {"delta": 2.0, "mean": [1.0] * 6, "std": [2.0] * 6}),
    ],
)
def test_all_settings_of_a_head_travel(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    trained = get_head(name, options=options)
    found = load_tflite_predictor(write(tmp_path, card_of(trained)), head=None)
    assert found.head.name == name
    assert found.head.options() == trained.options()


def test_a_head_that_is_not_installed_is_told_and_its_kind_scores(tmp_path: Path) -> None:
    card = replace(card_of(get_head("multilabel", options={"threshold": 0.3})), head="fern_tags")
    found = load_tflite_predictor(write(tmp_path, card))
    assert (found.head.name, found.head.options()["threshold"]) == ("multilabel", 0.3)
    assert any("'fern_tags'" in line and "'multilabel'" in line for line in found.remarks)


def test_settings_that_an_installed_head_does_not_know(tmp_path: Path) -> None:
    card = card_of(get_head("multilabel"))
    path = write(tmp_path, replace(card, head_options={"threshold": 0.3, "softness": 2}))
    with pytest.raises(ModelError, match=r"softness.*--head"):
        load_tflite_predictor(path)


def test_a_head_that_is_named_decides_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path, card_of(get_head("multilabel", options={"threshold": 0.3})))
    found = load_tflite_predictor(path, head=get_head("multilabel"))
    assert found.head.options()["threshold"] == 0.5
    assert any("threshold=0.3" in line and "--head" in line for line in found.remarks)
    same = get_head("multilabel", options={"threshold": 0.3})
    assert load_tflite_predictor(path, head=same).remarks == ()


def test_a_head_of_another_kind_than_the_file(tmp_path: Path) -> None:
    card = replace(card_of(get_head("multilabel")), head="regression", head_options={})
    with pytest.raises(ModelError, match=r"head 'regression'.*multilabel_classifier"):
        load_tflite_predictor(write(tmp_path, card))


def test_what_a_new_head_has_not_measured_is_no_difference(tmp_path: Path) -> None:
    card = card_of(get_head("regression", options={"mean": [1.0] * 6, "std": [2.0] * 6}))
    assert load_tflite_predictor(write(tmp_path, card), head=get_head("regression")).remarks == ()
