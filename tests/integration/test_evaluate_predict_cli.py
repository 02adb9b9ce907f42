"""`tfxfer evaluate` and `tfxfer predict` on a run, on its model, and on a model from elsewhere."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]
Learnt = tuple[Path, Any]

# DESIGN, section 5.
DOCUMENT = {"accuracy", "macro_f1", "per_class", "confusion", "images"}
PER_CLASS = {"label", "precision", "recall", "f1", "images"}


@pytest.fixture(scope="module")
def copied(learnt: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the run, away from it."""
    return Path(shutil.copy(learnt[0] / "model.keras", tmp_path_factory.mktemp("copy") / "m.keras"))


def test_evaluate_says_the_same_of_a_run_and_its_model(
    learnt: Learnt, copied: Path, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    run, trained = learnt
    # Moved, and each photo renamed: it is known by its content.
    elsewhere = Path(shutil.copytree(photos, tmp_path / "photos"))
    for photo in sorted(elsewhere.rglob("*.*")):
        photo.rename(photo.with_stem(f"moved {photo.stem}"))
    ways = [(run,), (run / "model.keras",), (copied, "--labels", run / "labels.txt")]
    documents = []
    for model, *options in ways:
        done = tfxfer("evaluate", model, elsewhere, *options, "--json")
        assert done.code == 0, done.stderr
        assert "this model was trained on them" in done.stderr
        documents.append(done.document)
    assert documents[0] == documents[1] == documents[2]
    document = documents[0]
    assert set(document) >= DOCUMENT
    count = trained.document["data"]["test"]
    assert document["images"] == count < 36
    assert document["trained_on"] == {"known": True, "left_out": 36 - count}
    assert [set(item) >= PER_CLASS for item in document["per_class"]] == [True] * 3
    assert [item["label"] for item in document["per_class"]] == ["apple", "mango", "zebra"]
    confusion = np.array(document["confusion"])
    assert confusion.sum() == count
    right = confusion.trace() / count
    assert document["accuracy"]["value"] == pytest.approx(right)
    assert right > 0.8


def test_evaluate_never_measures_what_the_run_was_trained_on(
    learnt: Learnt, photos: Path, tfxfer: Run
) -> None:
    run, trained = learnt
    for model in (run, run / "model.keras"):
        done = tfxfer("evaluate", model, photos, "--json")
        assert done.code == 0, done.stderr
        assert done.document["images"] == trained.document["data"]["test"] < 36
        assert done.document["confusion"] == trained.document["metrics"]["test"]["confusion"]
        assert "only its test split" in done.stderr


def test_a_file_that_says_nothing_of_its_training(
    copied: Path, learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    import keras

    keras.models.load_model(copied).save(tmp_path / "resaved.keras")
    labels = ("--labels", learnt[0] / "labels.txt")
    done = tfxfer("evaluate", tmp_path / "resaved.keras", photos, *labels, "--json")
    assert done.code == 0, done.stderr
    assert done.document["images"] == 36
    assert done.document["trained_on"] == {"known": False, "left_out": 0}
    assert done.stderr.count("nothing is known of what this model was trained on") == 1


@pytest.mark.filterwarnings("ignore:.*HDF5:UserWarning")
@pytest.mark.parametrize("place", ["old.h5", "edge/old.h5"])
def test_a_file_that_has_no_room_for_it_is_taken_for_one_of_the_run_that_it_lies_in(
    place: str, learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    import keras

    run = Path(shutil.copytree(learnt[0], tmp_path / "run"))
    (run / place).parent.mkdir(exist_ok=True)
    keras.models.load_model(run / "model.keras").save(run / place)
    done = tfxfer("evaluate", run / place, photos, "--labels", run / "labels.txt", "--json")
    assert done.code == 0, done.stderr
    count = learnt[1].document["data"]["test"]
    assert done.document["images"] == count < 36
    assert done.document["trained_on"] == {"known": False, "left_out": 36 - count}
    assert done.stderr.count("it is taken for a model of the run that it lies in, 'run'") == 1
    # The control: elsewhere nobody knows, and a line says so.
    away = shutil.copy(run / place, tmp_path / "away.h5")
    done = tfxfer("evaluate", away, photos, "--labels", run / "labels.txt", "--json")
    assert done.document["images"] == 36
    assert done.stderr.count("nothing is known of what this model was trained on") == 1


def test_photos_of_all_of_which_a_model_was_trained(
    copied: Path, learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    for line in (learnt[0] / "split.csv").read_text().splitlines()[1:]:
        name, _, part = line.split(",")[:3]
        if part == "train":
            (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / name, tmp_path / "data" / name)
    done = tfxfer("evaluate", copied, tmp_path / "data", "--labels", learnt[0] / "labels.txt")
    assert done.code == 1
    assert "expected images that the model was not trained on" in done.error


def test_options_that_a_run_knows_itself(learnt: Learnt, photos: Path, tfxfer: Run) -> None:
    done = tfxfer("evaluate", learnt[0], photos, "--head", "multilabel")
    assert done.code == 2
    assert "Leave --labels and --head out" in done.stderr


def test_evaluate_takes_the_test_part_where_there_is_one(
    learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    run, done = learnt
    rows = (run / "split.csv").read_text().splitlines()
    table = tmp_path / "photos" / "table.csv"
    shutil.copytree(photos, table.parent)
    table.write_text("\n".join(rows) + "\n")
    found = tfxfer("evaluate", run, table, "--json")
    assert found.code == 0, found.stderr
    assert found.document["images"] == done.document["data"]["test"]
    assert found.document["confusion"] == done.document["metrics"]["test"]["confusion"]


def test_evaluate_for_people(learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "apple" / "99.jpg").write_bytes(b"\xff\xd8\xff")
    table = tmp_path / "answers.csv"
    done = tfxfer("evaluate", learnt[0], tmp_path / "photos", "--out", table)
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("  accuracy  ")
    # What the model was trained on is left out.
    count = learnt[1].document["data"]["test"]
    assert lines[3].startswith(f"  {count} images: one image is {100 / count:.1f} points")
    assert lines[4] == "  worst first"
    assert sum(" right" in line for line in lines[5:8]) == 3
    assert "METRIC" not in done.stdout
    assert "apple/99.jpg left out: corrupt" in done.stderr
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert {row["truth"] for row in rows} == {"apple", "mango", "zebra"}
    wrong = sum(row["right"] == "false" for row in rows)
    assert ("the surest mistakes:" in lines) is (wrong > 0)

    again = tfxfer("evaluate", learnt[0], tmp_path / "photos", "--out", table)
    assert again.code == 1
    assert "--overwrite" in again.error
    again = tfxfer("evaluate", learnt[0], tmp_path / "photos", "--out", table, "--overwrite", "-v")
    assert again.code == 0, again.stderr
    assert ["METRIC", str(count), "images"] in [line.split() for line in again.stdout.splitlines()]
    document = tfxfer("evaluate", learnt[0], tmp_path / "photos", "--json").document
    assert document["accuracy"]["value"] == pytest.approx(1 - wrong / count)
    assert len(document["mistakes"]) == min(wrong, 20)


def test_evaluate_refuses_labels_the_model_does_not_have(
    learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    shutil.copytree(photos / "apple", tmp_path / "data" / "kiwi")
    done = tfxfer("evaluate", learnt[0], tmp_path / "data", "--json")
    assert done.code == 1
    assert "'kiwi'" in done.error
    assert done.document["error"]["type"] == "DataError"


def test_predict(learnt: Learnt, copied: Path, photos: Path, tfxfer: Run) -> None:
    run = learnt[0]
    images = [photos / "apple" / "00.jpg", photos / "zebra" / "01.png"]
    documents = []
    for model, *options in ((run,), (copied, "--labels", run / "labels.txt")):
        done = tfxfer("predict", model, *images, *options, "--json")
        assert done.code == 0, done.stderr
        documents.append(done.document)
    assert documents[0] == documents[1]
    assert [item["image"] for item in documents[0]] == list(map(str, images))
    for item in documents[0]:
        assert set(item) == {"image", "label", "score", "scores"}
        assert sum(item["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert item["score"] == max(item["scores"].values()) == item["scores"][item["label"]]
    shown = tfxfer("predict", run, *images)
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["IMAGE", "LABEL", "SCORE", "BEST"]
    assert [line.split()[0] for line in lines[1:]] == list(map(str, images))


def test_python_says_the_same(learnt: Learnt, copied: Path, photos: Path, tfxfer: Run) -> None:
    from tfxfer import load_model, load_run, predict

    run = learnt[0]
    images = sorted((photos / "mango").iterdir())[:3]
    document = tfxfer("predict", run, *images, "--json").document
    for model in (run, str(run / "model.keras"), load_run(run), load_model(run)):
        assert predict(model, images) == document
    assert predict(copied, images, labels=load_run(run).read_labels()) == document
    assert predict(run, photos / "mango")[:3] == document
    assert predict(run, photos / "zebra")[:3] != document


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "nothing that can be opened there"),
        (b"", "0 bytes"),
        (b"GIF89a", "expected"),
        (b"no image at all", "expected one of the formats"),
    ],
    ids=["missing", "empty", "truncated", "text"],
)
def test_predict_refuses_what_is_no_image(
    learnt: Learnt, tfxfer: Run, tmp_path: Path, content: bytes | None, words: str
) -> None:
    image = tmp_path / "image.gif"
    if content is not None:
        image.write_bytes(content)
    done = tfxfer("predict", learnt[0], image, "--json")
    assert done.code == 1
    assert len(done.error.splitlines()) == 1
    assert str(image) in done.error
    assert words in done.error
    assert set(done.document) == {"error"}


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_models_that_are_none(
    learnt: Learnt, copied: Path, photos: Path, tfxfer: Run, tmp_path: Path, command: str
) -> None:
    what = photos if command == "evaluate" else photos / "apple" / "00.jpg"
    content = copied.read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    damaged = bytearray(content)
    damaged[200:400] = bytes(200)
    (tmp_path / "damaged.keras").write_bytes(damaged)
    (tmp_path / "text.keras").write_text("no model")
    for name in ("model.h5", "model.onnx", "a.weights.h5"):
        (tmp_path / name).write_text("no model")
    (tmp_path / "two.txt").write_text("a\nb\n")
    labels = ("--labels", learnt[0] / "labels.txt")
    for model, options, words in (
        (tmp_path / "nothing", (), "nothing there"),
        (tmp_path, (), "expected a folder with run.json"),
        (tmp_path / "model.h5", (), "expected an .h5 file that Keras saved"),
        (tmp_path / "model.onnx", (), "of something else, starting b'no model'"),
        (tmp_path / "a.weights.h5", (), "weights alone"),
        (copied, (), "expected 3 labels"),
        (copied, ("--labels", tmp_path / "two.txt"), "Received: 2"),
        (copied, ("--labels", tmp_path / "no.txt"), "no.txt"),
        (copied, (*labels, "--head", "clasification"), "Did you mean 'classification'?"),
        (tmp_path / "half.keras", labels, "half.keras"),
        (tmp_path / "damaged.keras", labels, "damaged.keras"),
        (tmp_path / "text.keras", labels, "text.keras"),
    ):
        done = tfxfer(command, model, what, *options)
        assert done.code == 1, (model, done.stderr)
        assert words in done.error
        assert done.stdout == ""


def test_labels_may_come_from_another_editor(
    learnt: Learnt, copied: Path, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    # Notepad: a byte order mark, and carriage returns.
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfapple\r\nmango\r\nzebra\r\n\r\n")
    image = photos / "apple" / "00.jpg"
    done = tfxfer("predict", copied, image, "--labels", tmp_path / "labels.txt", "--json")
    assert done.code == 0, done.stderr
    assert list(done.document[0]["scores"]) == ["apple", "mango", "zebra"]


def test_one_file_that_cannot_be_read_costs_its_own_line(
    learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    (folder / "deep").mkdir(parents=True)
    for number, label in enumerate(("apple", "zebra")):
        shutil.copy(photos / label / "00.jpg", folder / "deep" / f"{number}.jpg")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not meant")
    gone, table = tmp_path / "gone.jpg", tmp_path / "table.csv"
    words = [folder, tmp_path / "so*" / "deep" / "*.jpg", gone]
    done = tfxfer("predict", learnt[0], *words, "--csv", table, "--json")
    assert done.code == 1
    names = [folder / "broken.png", folder / "deep" / "0.jpg", folder / "deep" / "1.jpg"]
    assert [item["image"] for item in done.document] == list(map(str, [*names, *names[1:], gone]))
    failed = [item for item in done.document if "error" in item]
    assert [Path(item["image"]).name for item in failed] == ["broken.png", "gone.jpg"]
    assert failed[0]["error"]["type"] == "DecodeError"
    assert failed[1]["error"]["type"] == "DataError"
    assert failed[0]["error"]["message"] in done.stderr
    assert done.error == "error: 2 of 6 images have no label"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, item in zip(rows, done.document, strict=True):
        assert row["image"] == item["image"]
        if "error" in item:
            assert (row["label"], row["error"]) == ("", item["error"]["message"])
        else:
            assert row["label"] == item["label"]
            assert float(row["score"]) == item["score"]
            assert float(row["score_apple"]) == item["scores"]["apple"]
    shown = tfxfer("predict", learnt[0], *words)
    assert shown.code == 1
    assert sum("not read" in line for line in shown.stdout.splitlines()) == 2


def test_the_folder_of_an_export_is_its_chosen_file(
    learnt: Learnt, photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    image = photos / "apple" / "00.jpg"
    folder = tmp_path / "edge"
    folder.mkdir()
    shutil.copy(learnt[0] / "model.keras", folder / "model_best.keras")
    candidates = [{"recipe": "best", "path": "elsewhere/model_best.keras"}]
    options = ("--labels", learnt[0] / "labels.txt", "--json")
    for document, words in (
        ({"chosen": "best", "candidates": candidates}, None),
        ({"chosen": None, "candidates": candidates}, "names the chosen file"),
        ({}, "names the chosen file"),
    ):
        (folder / "export.json").write_text(json.dumps(document))
        done = tfxfer("predict", folder, image, *options)
        assert done.code == (1 if words else 0), done.stderr
        if words:
            assert words in done.error
        else:
            assert done.document[0]["label"] == "apple"
