"""`tfxfer train --from RUN`: further labels, and what becomes of those the run had."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.trust.forgetting import Forgetting

Run = Callable[..., Any]

SIDE_PX = 48
SHORT = ("--head-epochs", 6, "--epochs", 2, "--batch-size", 4, "--views", 1, "--no-report")


def paint_dark(rng: np.random.Generator, channel: int) -> Image.Image:
    """Returns blobs of which one channel is the darkest."""
    coarse = rng.integers(0, 100, (6, 6, 3)) + 120
    coarse[..., channel] -= 120
    small = Image.fromarray(coarse.astype(np.uint8))
    return small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def further(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that the run has not seen, 12 images each."""
    root = tmp_path_factory.mktemp("further")
    rng = np.random.default_rng(5)
    for channel, label in enumerate(("berry", "lemon")):
        (root / label).mkdir()
        for number in range(12):
            paint_dark(rng, channel).save(root / label / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def go_on(learnt: tuple[Path, Any], tfxfer: Run) -> Run:
    """Trains what `learnt` has learnt on other samples."""
    return lambda data, out, *options: tfxfer(
        "train", data, "--from", learnt[0], "--out", out, *SHORT, *options
    )


def test_new_labels_come_after_the_earlier_ones_and_the_table_says_what_was_forgotten(
    learnt: tuple[Path, Any], further: Path, go_on: Run, tfxfer: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = go_on(further, out, "--replay", 4, "--json")
    assert done.code == 0, done.stderr
    manifest = done.document
    assert manifest["labels"] == ["apple", "mango", "zebra", "berry", "lemon"]
    earlier = json.loads((learnt[0] / "run.json").read_text())
    assert manifest["weights"]["sha256"] == earlier["sha256"]["model.keras"]
    with (out / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (learnt[0] / "split.csv").open(newline="") as file:
        before = {row["fingerprint"]: row["split"] for row in csv.DictReader(file)}
    old = [row for row in rows if row["label"] in earlier["labels"]]
    # Whatever the run learnt from is not tested with, nor the other way.
    assert all(before[row["fingerprint"]] == row["split"] for row in old)
    tested = sum(part == "test" for part in before.values())
    assert sum(row["split"] == "test" for row in old) == tested
    replayed = [row["label"] for row in old if row["split"] != "test"]
    assert {label: replayed.count(label) for label in earlier["labels"]} == dict.fromkeys(
        earlier["labels"], 4
    )
    assert manifest["request"]["balance"] == "oversample"
    found = Forgetting.read(out / "trust")
    assert found is not None
    assert (found.samples, found.missing, found.replay) == (tested, 0, 4)
    assert found.new_labels == ("berry", "lemon")
    assert found.before is not None
    assert found.before.value == earlier["metrics"]["test"]["accuracy"]["value"]
    assert sum(row.samples for row in found.labels) == tested
    # Keras alone reads the file, and its last layer is the run's with two columns more.
    model = keras.models.load_model(out / "model.keras")
    assert model.output_shape == (None, 5)
    assert {type(layer).__name__ for layer in model.layers} == {
        type(layer).__name__ for layer in keras.models.load_model(learnt[0] / "model.keras").layers
    }
    # The run is evaluated on its own test split, which lies in two folders.
    measured = tfxfer("evaluate", out, further, "--json").document
    assert measured["accuracy"]["value"] == manifest["metrics"]["test"]["accuracy"]["value"]
    assert measured["images"] == manifest["data"]["test"]


def test_a_run_goes_on_from_one_that_went_on(
    further: Path, go_on: Run, tfxfer: Run, tmp_path: Path
) -> None:
    assert go_on(further, tmp_path / "second").code == 0
    rng = np.random.default_rng(9)
    (tmp_path / "third" / "plum").mkdir(parents=True)
    for number in range(8):
        paint_dark(rng, 2).save(tmp_path / "third" / "plum" / f"{number}.png")
    done = tfxfer(
        "train", tmp_path / "third", "--from", tmp_path / "second", "--out", tmp_path / "last",
        *SHORT, "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.document["labels"] == ["apple", "mango", "zebra", "berry", "lemon", "plum"]
    second = json.loads((tmp_path / "second" / "run.json").read_text())
    found = Forgetting.read(tmp_path / "last" / "trust")
    assert found is not None
    assert (found.samples, found.missing) == (second["data"]["test"], 0)


def test_distillation_forgets_less_than_plain_training(
    further: Path, go_on: Run, tmp_path: Path
) -> None:
    lost = {}
    for name, options in {"plain": (), "distill": ("--keep", "distill")}.items():
        done = go_on(further, tmp_path / name, *options)
        assert done.code == 0, done.stderr
        assert "forgotten of" in done.stdout
        found = Forgetting.read(tmp_path / name / "trust")
        assert found is not None
        assert found.lost is not None
        lost[name] = found.lost.value
    assert lost["distill"] <= lost["plain"]


def test_photos_that_are_gone_are_missed_only_where_they_are_needed(
    learnt: tuple[Path, Any], further: Path, tfxfer: Run, tmp_path: Path
) -> None:
    moved = tmp_path / "earlier"
    shutil.copytree(learnt[0], moved)
    document = json.loads((moved / "run.json").read_text())
    document["request"]["data"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(document))
    words = ("train", further, "--from", moved, *SHORT)
    done = tfxfer(*words, "--out", tmp_path / "a", "--replay", 2)
    assert done.code == 1
    assert "expected samples that run" in done.error
    assert "importing TensorFlow" not in done.stderr
    done = tfxfer(*words, "--out", tmp_path / "b", "--keep", "distill")
    assert done.code == 0, done.stderr
    assert "nobody knows" in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--backbone", "efficientnet_lite0"), 1, "expected its own backbone, 'double_vivid'"),
        (("--head", "multilabel"), 1, "expected its own head, 'classification'"),
        (("--image-size", "64"), 1, "expected its own size, 32"),
        (("--weights", "none"), 2, "--weights beside it"),
        (("--schedule", "scratch"), 2, "--schedule scratch beside it"),
        (("--keep", "distill", "--budget", "90s"), 2, "without --keep"),
        (("--keep-strength", "2"), 2, "with a method that has a penalty"),
        (("--keep", "l2sp", "--keep-strength", "-1"), 2, "above 0"),
        (("--keep", "nothing"), 2, "is not one of"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(
    further: Path, go_on: Run, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    done = go_on(further, tmp_path / "run", *options)
    assert done.code == code, done.stderr
    assert words in done.stderr
    assert "importing TensorFlow" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [("--keep", "distill"), ("--replay", "3")])
def test_what_needs_an_earlier_run_says_so(
    further: Path, train: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = train(further, "--out", tmp_path / "run", *options)
    assert done.code == 2
    assert "--from RUN" in done.stderr


def test_a_run_that_is_not_done_is_refused(
    learnt: tuple[Path, Any], further: Path, tfxfer: Run, tmp_path: Path
) -> None:
    moved = tmp_path / "earlier"
    shutil.copytree(learnt[0], moved)
    document = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps({**document, "status": "interrupted"}))
    done = tfxfer("train", further, "--from", moved, "--out", tmp_path / "run", *SHORT)
    assert done.code == 1
    assert "expected a run that is done. Received: status='interrupted'" in done.error


def test_a_label_in_another_spelling_is_refused(further: Path, go_on: Run, tmp_path: Path) -> None:
    shutil.copytree(further, tmp_path / "photos")
    (tmp_path / "photos" / "lemon").rename(tmp_path / "photos" / "Apple")
    done = go_on(tmp_path / "photos", tmp_path / "run")
    assert done.code == 1
    assert "label='Apple', which it has as 'apple'" in done.error
