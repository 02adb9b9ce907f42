from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    ModelError,
    RunDirectory,
    RunError,
    UsageError,
)
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.loading import load_predictor

LABELS = ("class_0", "class_1", "class_2")


def test_a_file_outside_a_run_needs_its_labels(
    saved: Path, make_tiny: Callable[..., Any], images: Any
) -> None:
    predictor = load_predictor(saved, labels=["x", "y", "z"])
    assert (predictor.labels, predictor.size) == (("x", "y", "z"), 32)
    pixels = images.test.read_views(range(12))[:, 0]
    expected = wrap_model(make_tiny()).score(pixels)
    np.testing.assert_allclose(predictor.score(pixels), expected, atol=1e-6)
    for labels, count in ((None, "none"), (["x", "y"], "2")):
        with pytest.raises(ModelError, match=f"expected 3 labels.*Received: {count}"):
            load_predictor(saved, labels=labels)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        load_predictor(tmp_path)


@pytest.mark.parametrize("name", ["model.mlmodel", "model.pb", "model"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="nothing there"):
        load_predictor(tmp_path / name)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match="suffix="):
        load_predictor(tmp_path / name)


def test_a_run_is_given_no_labels_and_no_head(tmp_path: Path) -> None:
    from tfxfer_heads import Classification

    run = RunDirectory.create(tmp_path / "run")
    for options in ({"labels": LABELS}, {"head": Classification()}):
        with pytest.raises(UsageError, match="expected no labels and no head"):
            load_predictor(run.path, **options)


def test_a_preprocessing_goes_to_a_reader_that_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def read(path: Path, *, labels: Any, head: Any, preprocessing: Any = None) -> str:
        seen.append(preprocessing)
        return "predictor"

    def read_less(path: Path, *, labels: Any, head: Any) -> str:
        return "predictor"

    path = tmp_path / "model.other"
    path.write_bytes(b"x")
    monkeypatch.setattr("tfxfer.inference.loading.get_reader", lambda *_, **__: read)
    found: list[Any] = [load_predictor(path, preprocessing="in_graph"), load_predictor(path)]
    assert found == ["predictor", "predictor"]
    assert seen == ["in_graph", None]
    monkeypatch.setattr("tfxfer.inference.loading.get_reader", lambda *_, **__: read_less)
    load_predictor(path)
    with pytest.raises(UsageError, match="the reader of 'other' does not"):
        load_predictor(path, preprocessing="in_graph")
    keras = tmp_path / "model.keras"
    keras.write_bytes(b"x")
    with pytest.raises(UsageError, match="Keras's models get pixels"):
        load_predictor(keras, preprocessing="in_graph")
