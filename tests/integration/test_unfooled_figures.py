"""No figure flatters: of photos that were learnt from, of another model, of another split."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.run import seals

Run = Callable[..., Any]
Learnt = tuple[Path, Any]


@pytest.fixture
def run(learnt: Learnt, tmp_path: Path) -> Path:
    """A copy of the run, to tamper with."""
    return Path(shutil.copytree(learnt[0], tmp_path / "run"))


def list_parts(run: Path) -> dict[str, list[str]]:
    with (run / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        part: [row["path"] for row in rows if row["split"] == part]
        for part in ("train", "val", "test")
    }


def adopt(run: Path, photos: Path) -> None:
    """Has a run say that these photos are what it was trained on."""
    document = json.loads((run / "run.json").read_text("utf-8"))
    document["request"]["data"] = str(photos)
    (run / "run.json").write_text(json.dumps(document), "utf-8")


def permute_head(path: Path) -> None:
    import keras

    model = keras.models.load_model(path, compile=False)
    layer = model.get_layer("head_dense")
    layer.set_weights([np.roll(values, 1, axis=-1) for values in layer.get_weights()])
    model.save(path)


def test_a_run_holds_the_sha256_of_its_model_and_of_its_split(learnt: Learnt) -> None:
    run, done = learnt
    assert set(done.document["sha256"]) == set(seals.SEALED)
    for name, value in done.document["sha256"].items():
        assert seals.file_sha256(run / name) == value


def test_a_permuted_head_is_refused_wherever_figures_are_asked_for(
    run: Path, learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    permute_head(run / "model.keras")
    photo = photos / "apple" / "00.jpg"
    for words in (
        ("evaluate", run, photos),
        ("evaluate", run / "model.keras", photos),
        ("predict", run, photo),
        ("explain", run, photo, "--out", tmp_path / "pictures"),
        ("report", run, "--out", tmp_path / "page.html"),
        ("compare", run, learnt[0], "--data", photos),
    ):
        done = tfxfer(*words, "--json")
        assert done.code == 1, words
        assert done.document["error"]["type"] == "RunError"
        assert "expected model.keras as its training wrote it" in done.error
        assert "Put the file of the training back" in done.error
        assert len(done.error.splitlines()) == 1
    # The way out that the message names: a file that no run vouches for.
    labels = ("--labels", run / "labels.txt")
    done = tfxfer("evaluate", run / "model.keras", photos, *labels, "--json")
    assert done.code == 0, done.stderr
    assert done.document["accuracy"]["value"] < 0.5


def test_photos_moved_from_train_to_test_are_refused(
    run: Path, learnt: Learnt, photos: Path, train: Run, tfxfer: Run, tmp_path: Path
) -> None:
    table = run / "split.csv"
    table.write_text(table.read_text("utf-8").replace(",train,", ",test,", 5), "utf-8")
    copy = shutil.copytree(photos, tmp_path / "copy")
    for words in (
        ("evaluate", run, photos),
        ("evaluate", run, copy),
        ("compare", run, learnt[0]),
        ("report", run, "--out", tmp_path / "page.html"),
    ):
        done = tfxfer(*words)
        assert done.code == 1, words
        assert "expected split.csv as its training wrote it" in done.error
        assert "Put the table of the training back" in done.error
    done = train(photos, "--out", tmp_path / "next", "--split-from", run)
    assert done.code == 1
    assert "expected split.csv" in done.error


def test_answers_that_were_written_over_are_refused(run: Path, learnt: Learnt, tfxfer: Run) -> None:
    table = run / "predictions.csv"
    table.write_text(table.read_text("utf-8").replace(",false", ",true") + " ", "utf-8")
    done = tfxfer("compare", run, learnt[0])
    assert done.code == 1
    assert "expected predictions.csv as its training wrote it" in done.error


def test_a_run_of_before_says_what_cannot_be_checked(
    run: Path, photos: Path, learnt: Learnt, tfxfer: Run, tmp_path: Path
) -> None:
    document = json.loads((run / "run.json").read_text("utf-8"))
    del document["sha256"]
    (run / "run.json").write_text(json.dumps(document), "utf-8")
    for words in (("evaluate", run, photos), ("compare", run, learnt[0])):
        done = tfxfer(*words)
        assert done.code == 0, done.stderr
        assert done.stderr.count("cannot be checked") == 1
    done = tfxfer("report", run, "--out", tmp_path / "page.html")
    assert done.code == 0, done.stderr
    assert "cannot be checked" in (tmp_path / "page.html").read_text("utf-8")
    assert "cannot be checked" not in tfxfer("evaluate", learnt[0], photos).stderr


@pytest.mark.parametrize("way", ["subfolder", "table"])
def test_photos_that_were_learnt_from_are_left_out_however_they_come(
    way: str, learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    parts = list_parts(learnt[0])
    chosen = [*parts["train"][:9], *parts["test"]]
    data = tmp_path / "some" / "deeper"
    for path in chosen:
        target = data / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / path, target)
    if way == "table":
        rows = [f"deeper/{path},{Path(path).parent}" for path in chosen]
        data = data.parent / "table.csv"
        data.write_text("path,label\n" + "\n".join(rows) + "\n", "utf-8")
    done = tfxfer("evaluate", learnt[0], data, "--json")
    assert done.code == 0, done.stderr
    assert f"9 of {len(chosen)} images are left out" in done.stderr
    assert done.document["images"] == len(parts["test"])


def test_a_training_photo_in_the_place_of_a_test_photo_is_left_out(
    run: Path, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(photos, tmp_path / "own"))
    adopt(run, copy)
    parts = list_parts(run)
    label = Path(parts["test"][0]).parent
    learnt = next(path for path in parts["train"] if Path(path).parent == label)
    shutil.copy(copy / learnt, copy / parts["test"][0])
    done = tfxfer("evaluate", run, copy, "--json")
    assert done.code == 0, done.stderr
    assert done.document["images"] == len(parts["test"]) - 1
    assert done.document["trained_on"] == {"known": True, "left_out": 1}
    assert f"1 of its {len(parts['test'])} test images hold something else" in done.stderr
    # The control: as they were, all of them count, and nothing is said.
    shutil.copy(photos / parts["test"][0], copy / parts["test"][0])
    done = tfxfer("evaluate", run, copy, "--json")
    assert done.document["images"] == len(parts["test"])
    assert "something else" not in done.stderr


def test_python_is_told_which_samples_flatter(learnt: Learnt, photos: Path) -> None:
    import tfxfer as api

    data = api.load_images(photos, image_size=32)
    train, test = (api.evaluate(learnt[0], part)["notes"] for part in (data.train, data.test))
    assert any(f"trained on {len(data.train)} of these" in note for note in train)
    assert not any("trained on" in note for note in test)


def test_a_model_is_hashed_once(
    learnt: Learnt, photos: Path, tfxfer: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    hash_file = seals.file_sha256

    def count(path: Path) -> str:
        counts[path.name] += path.stat().st_size
        return hash_file(path)

    monkeypatch.setattr(seals, "file_sha256", count)
    assert tfxfer("evaluate", learnt[0], photos).code == 0
    assert counts["model.keras"] == (learnt[0] / "model.keras").stat().st_size
    assert counts["split.csv"] <= 4 * (learnt[0] / "split.csv").stat().st_size


def test_six_images_in_all_are_said_before_training(
    photos: Path, train: Run, tmp_path: Path
) -> None:
    for label in ("apple", "zebra"):
        (tmp_path / "six" / label).mkdir(parents=True)
        for number in ("00.jpg", "01.png", "02.jpg"):
            shutil.copy(photos / label / number, tmp_path / "six" / label / number)
    options = ("--schedule", "head", "--head-epochs", 1, "--views", 1, "--json")
    done = train(tmp_path / "six", "--out", tmp_path / "run", *options)
    assert done.code == 0, done.stderr
    words = "6 images in all, 2 val and 2 test among them"
    assert words in done.stderr
    assert done.stderr.index(words) < done.stderr.index("phase head")
    assert any(words in note for note in done.document["data"]["notes"])
