"""What is made of named samples: the progress of all, and pictures forgotten once drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import Backbone, ModelError, StorageError, build_model, get_modality
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.labelling import find_samples
from tfxfer.inference.predictor import Predictor
from tfxfer.trust.explanation import Question, check_same_outputs, explain_samples
from tfxfer.trust.picture_files import check_targets, name_pictures, save_picture
from tfxfer_heads import Classification


@pytest.fixture(scope="module")
def predictor(tiny_backbone: type[Backbone]) -> Predictor:
    model = build_model(tiny_backbone(), labels=["a", "b"], head=Classification(), weights=None)
    return wrap_model(model)


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    for number in range(35):
        pixels = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
    return [str(tmp_path)]


def test_progress_is_that_of_all_samples(predictor: Predictor, names: list[str]) -> None:
    told: list[tuple[str, int, int]] = []
    items = find_samples(names, get_modality("image"))
    question = Question(runner_up=True)
    found = list(
        explain_samples(predictor, items, question, progress=lambda *args: told.append(args))
    )
    assert len(found) == 35
    assert {what for what, _, _ in told} == {"explaining images"}
    assert {total for _, _, total in told} == {35_000}
    done = [number for _, number, _ in told]
    assert done == sorted(done)
    assert done[-1] == 35_000
    assert 15_000 <= done[len(done) // 2 - 1] <= 25_000


def test_a_drawn_picture_is_forgotten_and_its_words_are_kept(
    predictor: Predictor, names: list[str]
) -> None:
    items = find_samples([f"{names[0]}/00.png"], get_modality("image"))
    (found,) = explain_samples(predictor, items, Question(runner_up=True))
    assert found.draw().shape[1] == 2 * 30 + 8
    kept = found.without_pixels()
    assert kept.to_dict("image") == found.to_dict("image")
    assert kept.picture is None
    assert [panel.heat for panel in kept.panels] == [None, None]


@pytest.mark.parametrize("change", [{"labels": ("a", "c")}, {"size": 48}])
def test_a_file_of_another_model(predictor: Predictor, change: dict[str, Any]) -> None:
    check_same_outputs(predictor, predictor)
    with pytest.raises(ModelError, match="exported from it"):
        check_same_outputs(predictor, Predictor(**{**vars(predictor), **change}))


def test_names_that_disks_take(tmp_path: Path) -> None:
    odd = [f"{'ä' * 120}.jpg", f"{'ä' * 120}x.jpg", os.fsdecode(b"\xff.jpg"), "A.jpg", "a.png"]
    found = name_pictures(odd)
    assert len({name.lower() for name in found}) == 5
    for name in found:
        save_picture(tmp_path / "new" / name, np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(StorageError, match=r"A_heat\.png' and others"):
        check_targets(tmp_path / "new", found[3:], overwrite=False)
    check_targets(tmp_path / "new", found, overwrite=True)
