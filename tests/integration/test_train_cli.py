"""`tfxfer train`, from images to a run directory."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.progress import ConsoleProgress

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]

# The keys of `train --json` in DESIGN, section 5.
DOCUMENT = {
    "backbone", "head", "labels", "seed", "versions", "weights", "data", "phases", "metrics",
    "exports",
}  # fmt: skip
PHASE = {
    "name", "stage", "epochs", "learning_rate", "trainable_parameters", "cached", "seconds",
}  # fmt: skip

# Loads models without tfxfer and its plugins, and scores one image, 0..255 and wrongly scaled.
PLAIN_KERAS = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tfxfer", "tfxfer_heads", "double_vivid"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import json, keras, numpy as np
from PIL import Image

image, *models = sys.argv[1:]
pixels = np.asarray(Image.open(image).resize((32, 32), Image.Resampling.BILINEAR), np.float32)
found = []
for path in models:
    model = keras.models.load_model(path)
    assert model.input_shape == (None, 32, 32, 3)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    found.append([model.predict(x[None], verbose=0)[0].tolist() for x in (pixels, pixels / 255)])
assert not [name for name in sys.modules if name.startswith("tfxfer")]
print(json.dumps(found))
"""

SHORT = ("--schedule", "head", "--head-epochs", 1, "--views", 1)
LEARN = ("--head-epochs", 8, "--epochs", 2, "--batch-size", 4)  # of the fixture `learnt`


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def weights_digest(run: Path) -> str:
    with zipfile.ZipFile(run / "model.keras") as archive:
        return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()


def write_table(root: Path, rows: list[dict[str, Any]]) -> Path:
    path = root / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path: Path, paint: Paint) -> Callable[..., Path]:
    """Writes 24 images of two channels and a CSV whose further columns a function makes."""

    def make(name: str, columns: Callable[[int, int], dict[str, Any]]) -> Path:
        rng = np.random.default_rng(3)
        root = tmp_path / name
        root.mkdir()
        rows = []
        for number in range(24):
            paint(rng, number % 2).save(root / f"{number:02d}.png")
            rows.append({"path": f"{number:02d}.png", **columns(number, number % 2)})
        return write_table(root, rows)

    return make


# The run directory


def test_the_run_directory_is_complete(learnt: tuple[Path, Any], weights: Path) -> None:
    run, done = learnt
    document = json.loads((run / "run.json").read_text())
    assert done.document == document
    assert set(document) >= DOCUMENT
    assert document["status"] == "done"
    assert (document["backbone"], document["head"]) == ("double_vivid", "classification")
    assert set(document["weights"]) >= {"source", "sha256"}
    assert document["weights"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {"python", "tfxfer", "keras", "numpy"} <= set(document["versions"])
    data = document["data"]
    assert data["images"] == data["train"] + data["val"] + data["test"] == 36
    assert data["skipped"] == []
    assert len(data["fingerprint"]) == 64
    assert [phase["name"] for phase in document["phases"]] == ["head", "fine_tune"]
    for phase in document["phases"]:
        assert set(phase) >= PHASE
        assert phase["cached"] is True
    assert document["phases"][0]["stage"] == "backbone"
    for part in ("val", "test"):
        for name in ("accuracy", "macro_f1"):
            figure = document["metrics"][part][name]
            assert figure["low"] <= figure["value"] <= figure["high"]
    assert document["exports"] == []
    assert {path.name for path in run.iterdir()} == {
        ".lock", ".tfxfer-run", "run.json", "model.keras", "labels.txt", "split.csv", "history.csv",
        "skipped.csv", "predictions.csv", "checkpoints", "export", "trust",
    }  # fmt: skip
    assert document["warnings"] == []


def test_every_answer_is_in_a_table(learnt: tuple[Path, Any]) -> None:
    run, done = learnt
    rows = read_rows(run / "predictions.csv")
    assert list(rows[0]) == ["path", "split", "truth", "label", "score", "right"]
    split = {row["path"]: row for row in read_rows(run / "split.csv")}
    held_out = [path for path, row in split.items() if row["split"] != "train"]
    assert sorted(row["path"] for row in rows) == sorted(held_out)
    for row in rows:
        assert (row["split"], row["truth"]) == (
            split[row["path"]]["split"],
            split[row["path"]]["label"],
        )
        assert row["right"] == ("true" if row["label"] == row["truth"] else "false")
        assert 1 / 3 <= float(row["score"]) <= 1
        assert len(row["score"]) > 6  # a float as it is, not as it is shown
    for part in ("val", "test"):
        rights = [row["right"] == "true" for row in rows if row["split"] == part]
        accuracy = done.document["metrics"][part]["accuracy"]["value"]
        assert np.mean(rights) == pytest.approx(accuracy)


def test_a_result_is_told_in_words_with_the_next_command(
    photos: Path, train: Run, tmp_path: Path
) -> None:
    done = train(photos, "--out", tmp_path / "run", *LEARN)
    assert done.code == 0, done.stderr
    text = done.stdout
    assert "accuracy  " in text
    assert " images: one image is " in text
    assert "worst first" in text
    assert " right" in text
    assert re.search(r"^kept   epoch \d+ of \d+, phase (head|fine_tune)$", text, re.MULTILINE)
    assert "predictions.csv with each image of val and test" in text
    assert text.splitlines()[-1] == f"next   tfxfer export {tmp_path / 'run'}"
    # All the figures, and a line an epoch, only with -v.
    assert "log loss" not in text
    assert "epoch 1/" not in done.stderr
    again = train(photos, "--out", tmp_path / "run", *LEARN, "--overwrite", "-v")
    assert "log loss" in again.stdout
    assert "epoch 1/10  " in again.stderr


def test_chance_is_said_in_red_with_the_likely_cause(
    photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    # Nothing but a bias is learnt from features of random weights in one epoch.
    done = tfxfer(
        "train", photos, "--backbone", "double_vivid", "--weights", "none", "--out",
        tmp_path / "run", *SHORT,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["warnings"]
    assert stored
    assert {item["kind"] for item in stored} <= {"chance", "unpredicted_classes"}
    for item in stored:
        assert set(item) == {"kind", "message", "cause"}
        assert item["message"] in done.stderr
    assert "likely: only 1 epoch of training: give it more --epochs; random weights" in done.stderr


def test_a_run_without_a_place_and_a_backbone(
    photos: Path, tfxfer: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {"backbone": "double_vivid", "head": "classification"}
    monkeypatch.setattr("tfxfer.registry.lookup.Registry.default", lambda _, kind: declared[kind])
    monkeypatch.chdir(tmp_path)
    for number in ("1", "2"):
        done = tfxfer("train", photos, "--weights", weights, *SHORT)
        assert done.code == 0, done.stderr
        assert f"run    {Path('runs', number)}\n" in done.stderr
        document = json.loads((tmp_path / "runs" / number / "run.json").read_text())
        assert document["backbone"] == "double_vivid"


def test_split_and_history_have_every_row(learnt: tuple[Path, Any], photos: Path) -> None:
    run, done = learnt
    split = read_rows(run / "split.csv")
    assert {row["path"] for row in split} == {
        path.relative_to(photos).as_posix() for path in photos.rglob("*.*")
    }
    assert all(row["path"].split("/")[0] == row["label"] for row in split)
    history = read_rows(run / "history.csv")
    epochs = [phase["epochs"] for phase in done.document["phases"]]
    assert [int(row["epoch"]) for row in history] == list(range(sum(epochs)))
    names = ["head"] * epochs[0] + ["fine_tune"] * epochs[1]
    assert [row["phase"] for row in history] == names
    assert all(float(row["val_accuracy"]) >= 0 and float(row["loss"]) > 0 for row in history)


def test_labels_are_in_the_order_of_the_outputs(
    learnt: tuple[Path, Any], photos: Path, tfxfer: Run
) -> None:
    import keras

    run, done = learnt
    labels = (run / "labels.txt").read_text().splitlines()
    assert labels == done.document["labels"] == sorted(path.name for path in photos.iterdir())
    # It has learnt: so a permuted labels.txt would show.
    assert done.document["metrics"]["test"]["accuracy"]["value"] > 0.8
    model = keras.models.load_model(run / "model.keras")
    for index, label in enumerate(labels):
        files = sorted((photos / label).iterdir())[:4]
        pixels = np.stack([np.asarray(Image.open(file).resize((32, 32))) for file in files])
        assert (model.predict(pixels, verbose=0).argmax(axis=1) == index).mean() > 0.7
    documents = tfxfer("predict", run, *files, "--json").document
    assert [item["label"] for item in documents] == [labels[-1]] * 4


def test_models_load_in_keras_alone(
    learnt: tuple[Path, Any],
    photos: Path,
    table: Callable[..., Path],
    train: Run,
    tfxfer: Run,
) -> None:
    def columns(number: int, channel: int) -> dict[str, str]:
        # Six groups of four images; the first three have a part of their own.
        group = number // 4
        return {
            "label": ("a|b", "b")[channel],
            "split": {0: "train", 1: "val", 2: "test"}.get(group, ""),
            "group": f"g{group}",
        }

    runs = [learnt[0]]
    for head, data, wanted in (
        ("regression", table("r", lambda number, _: {"label": number / 2}), {"mae", "rmse"}),
        ("multilabel", table("m", columns), {"macro_f1", "micro_f1"}),
    ):
        out = data.with_name("run")
        done = train(data, "--head", head, "--out", out, *SHORT, "--json")
        assert done.code == 0, done.stderr
        assert wanted <= set(done.document["metrics"]["test"])
        runs.append(out)

    # The parts and groups of the table were kept.
    given = {row["path"]: row for row in read_rows(data)}
    parts: dict[str, set[str]] = {}
    for row in read_rows(out / "split.csv"):
        asked = given[row["path"]]
        assert row["split"] == (asked["split"] or row["split"])
        parts.setdefault(asked["group"], set()).add(row["split"])
    assert len(parts) == 6
    assert all(len(found) == 1 for found in parts.values())

    image = photos / "mango" / "01.png"
    plain = subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, image, *(run / "model.keras" for run in runs)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    for run, (right, wrong) in zip(runs, json.loads(plain.stdout), strict=True):
        (ours,) = tfxfer("predict", run, image, "--json").document
        labels = (run / "labels.txt").read_text().splitlines()
        expected = [ours["scores"][label] for label in labels]
        # The resize is Pillow's in both; what is left is float32.
        assert right == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert wrong != pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_folders_without_a_test_part(paint: Paint, train: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for part, count in (("train", 12), ("validation", 4)):
        for channel, label in enumerate("xy"):
            (tmp_path / "data" / part / label).mkdir(parents=True)
            for number in range(count):
                paint(rng, channel).save(tmp_path / "data" / part / label / f"{number}.png")
    done = train(tmp_path / "data", "--out", tmp_path / "run", *SHORT, "--json")
    assert done.code == 0, done.stderr
    data = done.document["data"]
    # It comes out of train, never out of validation.
    assert data["val"] == 8
    assert data["test"] > 0
    assert data["train"] + data["test"] == 24


# Options


@pytest.mark.parametrize(
    ("options", "stages", "asked"),
    [
        (
            ("--schedule", "progressive", "--augment", "strong", "--balance", "oversample"),
            ["backbone", "block_2", "block_2", "block_1"],
            {"schedule": "progressive", "augment": "strong", "balance": "oversample"},
        ),
        (
            ("--unfreeze-from", "block_1", "--no-cache", "--no-flip", "--image-size", "40"),
            ["backbone", "block_1"],
            {
                "unfreeze_from": "block_1",
                "cache": False,
                "view_options": {"flip": False},
                "size": 40,
            },
        ),
        (
            ("--unfreeze-from", "0.5", "--augment", "none", "--balance", "weights", "--seed", "5"),
            ["backbone", "block_2"],
            {"unfreeze_from": 0.5, "augment": "none", "balance": "weights", "seed": 5},
        ),
    ],
    ids=["progressive", "uncached", "unaugmented"],
)
def test_options(
    options: tuple[str, ...],
    stages: list[str | None],
    asked: dict[str, Any],
    photos: Path,
    train: Run,
    tmp_path: Path,
) -> None:
    short = ("--head-epochs", 1, "--epochs", 1, "--views", 3)
    done = train(photos, "--out", tmp_path / "run", *options, *short, "--json")
    assert done.code == 0, done.stderr
    document = done.document
    phases = document["phases"]
    assert [phase["stage"] for phase in phases] == stages
    assert [phase["epochs"] for phase in phases] == [1] * len(stages)
    assert all(phase["cached"] is ("--no-cache" not in options) for phase in phases)
    assert {item["views"] for item in document["plan"]} == {3}
    for name, value in asked.items():
        assert document["request"][name] == value
    assert document["seed"] == asked.get("seed", 0)
    assert (document["modality"], document["size"]) == ("image", asked.get("size", 32))


def test_the_head_alone_with_a_bar_on_a_terminal(
    photos: Path, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    drawn = Terminal()
    monkeypatch.setattr(
        "tfxfer.cli.output.Output.progress",
        lambda self: ConsoleProgress(delay_s=0, stream=drawn),
    )
    done = train(
        photos, "--out", tmp_path / "run", "--schedule", "head", "--head-epochs", 1, "--json"
    )
    assert done.code == 0, done.stderr
    assert [phase["stage"] for phase in done.document["phases"]] == ["backbone"]
    for what in ("checking images", "building the model", "caching activations",
                 "training head: epoch 1 of 1", "scoring images"):  # fmt: skip
        assert what in drawn.getvalue(), what


def test_the_plan_is_printed_before_the_first_epoch(learnt: tuple[Path, Any]) -> None:
    plan = learnt[1].stderr
    for word in ("device", "float32", "batch", "phase head", "trainable parameters", "cache",
                 "expected time"):  # fmt: skip
        assert word in plan, word


def test_one_seed_gives_one_run(
    learnt: tuple[Path, Any], photos: Path, train: Run, tmp_path: Path
) -> None:
    run, done = learnt

    def trace(folder: Path, document: dict[str, Any]) -> tuple[str, ...]:
        return (
            (folder / "split.csv").read_text(),
            (folder / "history.csv").read_text(),
            json.dumps(document["metrics"]),
            weights_digest(folder),
        )

    # Another seed: test_a_run_that_is_there.
    out = tmp_path / "again"
    again = train(photos, "--out", out, *LEARN, "--json")
    assert again.code == 0, again.stderr
    assert trace(out, again.document) == trace(run, done.document)


# Time


# Long enough for a busy machine to start in, and still a bound: the whole ladder would fit.
@pytest.mark.parametrize("seconds", [25])
def test_a_budget_is_kept(photos: Path, train: Run, tmp_path: Path, seconds: int) -> None:
    started = time.monotonic()
    done = train(photos, "--out", tmp_path / "run", "--budget", f"{seconds}s", "--json")
    took = time.monotonic() - started
    assert done.code == 0, done.stderr
    assert took < 1.15 * seconds
    assert done.document["request"]["budget_seconds"] == seconds
    assert done.document["metrics"]["test"]["images"] == done.document["data"]["test"]


def test_a_run_follows_the_split_of_another(
    learnt: tuple[Path, Any], photos: Path, weights: Path, tfxfer: Any, tmp_path: Path
) -> None:
    options = ["--backbone", "double_vivid", "--weights", weights, "--seed", 11]
    options += ["--schedule", "head", "--head-epochs", 1, "--augment", "none"]
    out = tmp_path / "second"
    done = tfxfer("train", photos, "--out", out, "--split-from", learnt[0], *options, "--json")
    assert done.code == 0, done.stderr
    assert "36 of 36 images are where" in done.stderr
    assert (out / "split.csv").read_text() == (learnt[0] / "split.csv").read_text()
    assert done.document["request"]["split_from"] == str(learnt[0].absolute())
    refused = tfxfer("train", photos, "--out", tmp_path / "x", "--split-from", photos, *options)
    assert refused.code == 1
    assert "expected a folder with run.json" in refused.error
    assert not (tmp_path / "x").exists()
