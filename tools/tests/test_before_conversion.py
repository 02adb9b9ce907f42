"""What the metadata's writer would refuse of every file is refused before the first is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.preprocessing import Preprocessing
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.proof.subject import open_subject
from tfxfer_edge.request import check_request
from tfxfer_edge.tflite.card import ModelCard
from tfxfer_edge.tflite.metadata_writer import rehearse_metadata
from tfxfer_edge.tflite.probe import End

LABELS = ("ant", "bee", "cat")
CARD = ModelCard("insects", labels=LABELS)
PIXELS = End("image", "float32", (1, 64, 64, 3), (0.0, 0))


def rehearse(card: ModelCard, *, outputs: int = 3) -> None:
    rehearse_metadata(card, (PIXELS,), outputs=outputs)


def test_a_card_that_can_be_written() -> None:
    rehearse(CARD)
    rehearse(replace(CARD, preprocessing=Preprocessing.from_mean_std(mean=127.5, std=127.5)))
    rehearse(replace(CARD, labels=(), metadata_kind="features"), outputs=1280)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": ("ant", "bee\n", "cat")}, r"labels of one line each.*label='bee\\n'"),
        ({"labels": ("ant", "ant", "cat")}, "no two alike.*label='ant'"),
        ({"labels": ("ant", " ", "cat")}, "not blank"),
        ({"labels": ("ant", "bee")}, "expected 3 labels, one per output. Received: 2"),
        ({"labels": ()}, "expected the labels of a classifier"),
        # What a disk may hold and UTF-8 cannot: files of phones are UTF-8.
        ({"labels": ("ant", "b\udce9e", "cat")}, r"UTF-8.*label='b\\udce9e'"),
        ({"name": "m\udcff"}, r"UTF-8.*name='m\\udcff'"),
        ({"description": "m\udcff"}, r"UTF-8.*description="),
        # Whoever reads it takes it for the mark of the file's encoding.
        ({"labels": ("\ufeffant", "bee", "cat")}, "to be read as it was written"),
        ({"labels": ("ant" * (12 << 20), "bee", "cat")}, "32 MB"),
        ({"assets": {"labels.txt": b""}, "modality": "text", "contract": {}, "size": 8}, "three"),
        ({"head": "x", "head_options": {"a": (1, 2)}}, r"head_options=\{'a': \[1, 2\]\}"),
        ({"head": "x", "head_options": {"a": object()}}, "head_options.*JSON"),
        ({"threshold": 3.0}, "a threshold from 0 to 1"),
        ({"white": 0}, "white"),
    ],
)
def test_a_card_that_cannot(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        rehearse(replace(CARD, **change))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("ant", "bee\nwasp"), "labels of one line each"),
        (("ant", "ant"), "no two alike"),
        (("ant", ""), "not blank"),
    ],
)
def test_labels_of_a_file_before_anything_is_loaded(
    tmp_path: Path, labels: tuple[str, ...], told: str
) -> None:
    model = tmp_path / "mine.keras"
    model.touch()
    for name in labels:
        folder = tmp_path / "photos" / (name.strip() or "x").replace("\n", "_")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.png").touch()
    options: dict[str, Any] = {
        "labels": labels,
        "calibration": tmp_path / "photos",
        "preprocessing": "in_graph",
    }
    with pytest.raises(ModelError, match=told):
        check_request(model, tmp_path / "edge", **options)
    # ONNX has no metadata, and its labels are lines of a file all the same.
    checked = check_request(model, tmp_path / "edge", recipes=("onnx",), **options)
    assert checked.recipes == ("onnx",)


def refuse_work(*_: object, **__: object) -> Any:
    raise AssertionError("work has begun")


def test_labels_of_a_run_before_anything_is_loaded(
    colour_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunDirectory, "read_labels", lambda _: ("green", "amber", "amber"))
    with pytest.raises(ModelError, match="no two alike"):
        check_request(colour_run, tmp_path / "edge")


class _Wordy:
    """Settings that no JSON holds as they are."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._head, name)

    def options(self) -> dict[str, Any]:
        return {"means": np.zeros(3)}


def test_a_head_whose_settings_are_no_json(
    colour_run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer.inference.keras_model import wrap_model

    def wrap(model: Any) -> Any:
        found = wrap_model(model)
        head: Any = _Wordy(found.head)
        return replace(found, head=head)

    monkeypatch.setattr("tfxfer_edge.proof.opened.wrap_model", wrap)
    monkeypatch.setattr("tfxfer_edge.proof.subject.load_run_images", refuse_work)
    with pytest.raises(ModelError, match="JSON"):
        open_subject(colour_run)
    # Without metadata nothing has to be written.
    with pytest.raises(AssertionError, match="work has begun"):
        open_subject(colour_run, needs_metadata=False)
