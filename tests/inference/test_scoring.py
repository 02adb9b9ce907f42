from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    DataError,
    ImageError,
    ModelError,
    Preprocessing,
    UnknownHeadError,
    UsageError,
)
from tfxfer.images.modality import ImageModality
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.scoring import evaluate, predict

LABELS = ("class_0", "class_1", "class_2")


@pytest.fixture
def predictor() -> Predictor:
    """Says which channel is the brightest."""
    from tfxfer_heads import Classification

    def score(pixels: np.ndarray) -> np.ndarray:
        means = np.asarray(pixels, np.float64).mean(axis=(1, 2))
        return means / means.sum(axis=1, keepdims=True)

    return Predictor(
        source="brightest",
        labels=LABELS,
        head=Classification(),
        modality=ImageModality(),
        size=32,
        contract=Preprocessing(),
        score=score,
    )


def test_a_predictor_is_evaluated_on_images_and_on_a_dataset(
    predictor: Predictor, images: Any
) -> None:
    seen = []
    found = evaluate(predictor, images.test, progress=lambda what, done, total: seen.append(done))
    assert seen[-1] == 12
    assert found["images"] == 12
    assert found["accuracy"]["value"] == 1
    again = evaluate(predictor, images.test.dataset(batch_size=5))
    assert again["accuracy"] == found["accuracy"]
    wrong = Predictor(**{**vars(predictor), "score": lambda x: predictor.score(x)[:, ::-1]})
    assert evaluate(wrong, images.test)["accuracy"]["value"] < 0.5


def test_files_are_predicted_in_their_order(
    predictor: Predictor, images: Any, tmp_path: Path
) -> None:
    files = [images.test.root / path for path in images.test.paths]
    found = predict(predictor, files)
    assert [document["image"] for document in found] == [str(file) for file in files]
    assert [document["label"] for document in found] == list(images.test.raw_labels)
    assert set(found[0]["scores"]) == set(LABELS)
    assert found[0]["score"] == max(found[0]["scores"].values())
    assert predict(predictor, []) == []
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=r"broken\.png"):
        predict(predictor, [files[0], broken])


def test_a_folder_a_pattern_a_split_and_arrays_are_predicted_alike(
    predictor: Predictor, images: Any
) -> None:
    folder = images.test.root / "test"
    expected = predict(predictor, [images.test.root / path for path in images.test.paths])
    for samples in (folder, str(folder), f"{folder}/*/*.png", images.test):
        assert predict(predictor, samples) == expected
    one = expected[0]["image"]
    assert predict(predictor, one) == expected[:1]
    numbered = predict(predictor, images.test.read_views(range(12))[:, 0])
    assert [document["image"] for document in numbered] == list(range(12))
    for found, wanted in zip(numbered, expected, strict=True):
        assert {**found, "image": wanted["image"]} == wanted


def test_a_model_is_named_by_its_run_too(
    images: Any, make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tfxfer import RunDirectory
    from tfxfer.inference import scoring

    model = make_tiny()
    expected = predict(model, images.test)
    asked = []

    def load(path: Any, **_: Any) -> Predictor:
        asked.append(Path(path))
        return wrap_model(model)

    monkeypatch.setattr(scoring, "load_predictor", load)
    for named in (tmp_path, str(tmp_path), RunDirectory(tmp_path)):
        assert predict(named, images.test) == expected
        assert evaluate(named, images.test) == evaluate(model, images.test)
    assert set(asked) == {tmp_path}


def test_a_file_outside_of_a_run_needs_its_labels(
    saved: Path, images: Any, make_tiny: Callable[..., Any], predictor: Predictor
) -> None:
    expected = predict(make_tiny(), images.test)
    found = predict(saved, images.test, labels=LABELS, head="classification")
    assert [x["label"] for x in found] == [x["label"] for x in expected]
    with pytest.raises(ModelError, match="expected 3 labels"):
        predict(saved, images.test)
    with pytest.raises(UsageError, match="several names"):
        predict(saved, images.test, labels="abc")
    with pytest.raises(UnknownHeadError, match="Did you mean 'classification'"):
        predict(saved, images.test, labels=LABELS, head="clasification")
    with pytest.raises(UsageError, match="a model in memory knows itself"):
        predict(predictor, images.test, labels=LABELS)


@pytest.mark.parametrize("data", [None, 3, "photos", b"x", {"a": 1}, object()])
def test_only_labelled_samples_are_evaluated(predictor: Predictor, data: Any) -> None:
    with pytest.raises(
        DataError, match=r"evaluate: expected samples with labels.* Received: data="
    ):
        evaluate(predictor, data)


def test_what_is_named_must_be_there(predictor: Predictor) -> None:
    with pytest.raises(DataError, match=r"image '.*gone\.png': expected a file"):
        predict(predictor, ["gone.png"])
    with pytest.raises(DataError, match="at least one batch"):
        evaluate(predictor, [])


def test_a_users_own_samples_are_evaluated_however_they_come(
    predictor: Predictor, images: Any, blobs: Any
) -> None:
    expected = evaluate(predictor, images.test)["confusion"]
    pixels = images.test.read_views(range(12))[:, 0]
    targets = images.test.targets
    numbers = targets.argmax(axis=1)
    batches = [(pixels[:5], numbers[:5]), (pixels[5:], numbers[5:])]
    for data in ((pixels, targets), (pixels, numbers), batches, iter(batches)):
        assert evaluate(predictor, data)["confusion"] == expected
    assert evaluate(predictor, (pixels, numbers[::-1].copy()))["confusion"] != expected
    with pytest.raises(DataError, match=r"from 0 to 2.*Received: 3 .*subtract 1"):
        evaluate(predictor, (pixels, numbers + 1))
    with pytest.raises(DataError, match=r"targets of shape \(12, 3\).*shape=\(12, 2\)"):
        evaluate(predictor, (pixels, targets[:, :2]))
    with pytest.raises(DataError, match=r"as many targets as samples\. Received: 12 and 11"):
        evaluate(predictor, (pixels, targets[1:]))
    with pytest.raises(UsageError, match=r"Pass data\.test"):
        evaluate(predictor, images)
    with pytest.raises(DataError, match=r"expected samples with labels.*Received: data=3"):
        evaluate(predictor, 3)


def test_pixels_of_another_range_are_not_scored(predictor: Predictor, images: Any) -> None:
    pixels = images.test.read_views(range(12))[:, 0].astype(np.float32)
    for wrong, words in ((pixels / 255, "divided by 255"), (pixels / 127.5 - 1, "values from -1")):
        for data in (
            (wrong, images.test.targets),
            [(wrong[i : i + 1], images.test.targets[i : i + 1]) for i in range(12)],
        ):
            with pytest.raises(DataError, match=rf"evaluation data: .*0\.\.255.*{words}"):
                evaluate(predictor, data)
    # One black photo has no range: it is looked at with others.
    dark = [(pixels[:1] * 1e-3, images.test.targets[:1]), (pixels[1:], images.test.targets[1:])]
    assert evaluate(predictor, dark)["images"] == 12


def test_labels_in_another_order_are_not_scored(predictor: Predictor, images: Any) -> None:
    mixed = replace(images.test, labels=LABELS[::-1])
    with pytest.raises(DataError, match=r"split 'test': .*in their order.*same in another order"):
        evaluate(predictor, mixed)


def test_samples_without_an_end_are_not_scored_for_ever(
    predictor: Predictor, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"for ever.*\.take\(n\)"):
        evaluate(predictor, images.test.dataset().repeat())
    monkeypatch.setattr("tfxfer.data.passes.MOST_SAMPLES", 30)
    batch = images.test.read_views(range(12))[:, 0], images.test.targets
    told = []
    with pytest.raises(DataError, match=r"more than 30 samples.*\.take\(n\)"):
        evaluate(
            predictor,
            itertools.repeat(batch),
            progress=lambda what, done, total: told.append((done, total)),
        )
    assert told == [(12, 30), (24, 30)]
