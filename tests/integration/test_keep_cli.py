"""`tfxfer train --from RUN`: further labels, and what becomes of those the run had."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tfxfer.keeping.statistics import ClassStatistics, read_statistics, write_statistics
from tfxfer.trust.forgetting import Forgetting

Run = Callable[..., Any]

PAGE = Path(__file__).parents[2] / "docs" / "keeping.md"
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


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def plain(
    further: Path, go_on: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Forgetting, Path]:
    """What plain training on the new labels alone forgets, and its run."""
    return forget(go_on, further, tmp_path_factory.mktemp("plain"))


def forget(go_on: Run, data: Path, folder: Path, *options: Any) -> tuple[Forgetting, Path]:
    done = go_on(data, folder / "run", *options)
    assert done.code == 0, done.stderr
    assert "forgotten of" in done.stdout
    found = Forgetting.read(folder / "run" / "trust")
    assert found is not None
    return found, folder / "run"


@pytest.mark.parametrize("method", ["distill", "l2sp", "ewc", "lora"])
def test_each_method_ends_in_the_same_graph_and_forgets_no_more(
    method: str, plain: tuple[Forgetting, Path], further: Path, go_on: Run, tmp_path: Path
) -> None:
    found, run = forget(go_on, further, tmp_path, "--keep", method)
    assert found.keep == method
    assert found.lost is not None
    assert plain[0].lost is not None
    assert found.lost.value <= plain[0].lost.value
    kept, bare = (keras.models.load_model(x / "model.keras") for x in (run, plain[1]))
    assert [layer.name for layer in kept.layers] == [layer.name for layer in bare.layers]
    assert [w.shape for w in kept.weights] == [w.shape for w in bare.weights]
    assert any(
        (one != other).any()
        for one, other in zip(kept.get_weights(), bare.get_weights(), strict=True)
    )
    assert not any(getattr(layer, "lora_enabled", False) for layer in kept.layers)
    assert (run / "trust" / "fisher.npz").is_file() == (method == "ewc")


def test_statistics_keep_what_is_known_without_any_photo(
    plain: tuple[Forgetting, Path],
    further: Path,
    photos: Path,
    train: Run,
    tfxfer: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first run stores where its classes lie; the next one learns from no photo of theirs."""
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--head-epochs", 8, "--epochs", 2, "--batch-size", 4, "--keep", "statistics")
    done = train(photos, "--out", first, *options)
    assert done.code == 0, done.stderr
    stored = read_statistics(first / "trust" / "statistics.npz")
    assert stored.labels == ("apple", "mango", "zebra")
    monkeypatch.delattr("tfxfer.job.statistics.load_learnt")
    done = tfxfer(
        "train", further, "--from", first, "--out", second, "--keep", "statistics",
        "--schedule", "head", "--head-epochs", 2, "--no-report",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    found = Forgetting.read(second / "trust")
    assert found is not None
    assert found.lost is not None
    assert plain[0].lost is not None
    assert found.lost.value < plain[0].lost.value
    both = read_statistics(second / "trust" / "statistics.npz")
    assert both.labels == ("apple", "mango", "zebra", "berry", "lemon")
    assert (both.counts[:3] == stored.counts).all()
    assert (both.means[:3] == stored.means).all()
    kept, bare = (keras.models.load_model(x / "model.keras") for x in (second, plain[1]))
    assert [layer.name for layer in kept.layers] == [layer.name for layer in bare.layers]


def test_statistics_that_would_fail_are_refused_before_anything_is_trained(
    learnt: tuple[Path, Any], photos: Path, further: Path, train: Run, tfxfer: Run, tmp_path: Path
) -> None:
    earlier, out = tmp_path / "earlier", tmp_path / "out"
    shutil.copytree(learnt[0], earlier)
    asked = ("--from", earlier, "--out", out, "--keep", "statistics", "--schedule", "head")
    done = tfxfer("train", photos, *asked)
    assert done.code == 1
    assert "expected new images" in done.error
    # Of zebra, whose label the run has, nothing is known.
    rows = np.eye(2)
    write_statistics(
        earlier / "trust" / "statistics.npz",
        ClassStatistics(("apple", "mango"), np.array([3, 3]), rows, rows),
    )
    done = tfxfer("train", further, *asked)
    assert done.code == 1
    assert "nothing of 'zebra'" in done.error
    done = train(photos, "--out", out, "--head", "multilabel", "--keep", "statistics")
    assert done.code == 2
    assert "a head whose last layer follows" in done.error
    assert not out.exists()


@pytest.fixture
def without_photos(learnt: tuple[Path, Any], tmp_path: Path) -> Path:
    """The run, whose photos are gone."""
    moved = tmp_path / "earlier"
    shutil.copytree(learnt[0], moved)
    document = json.loads((moved / "run.json").read_text())
    document["request"]["data"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(document))
    return moved


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--replay", 2), "expected samples that run"),
        (("--keep", "ewc"), "which weights matter"),
        (("--keep", "statistics", "--schedule", "head"), "has stored of its classes"),
    ],
)
def test_photos_that_are_gone_are_missed_where_they_are_needed(
    without_photos: Path, further: Path, tfxfer: Run, tmp_path: Path, options: Any, words: str
) -> None:
    done = tfxfer("train", further, "--from", without_photos, "--out", tmp_path / "a", *options)
    assert done.code == 1
    assert words in done.error
    assert "importing TensorFlow" not in done.stderr


@pytest.mark.slow
def test_without_the_photos_nobody_knows_what_was_forgotten(
    without_photos: Path, further: Path, tfxfer: Run, tmp_path: Path
) -> None:
    done = tfxfer(
        "train", further, "--from", without_photos, "--out", tmp_path / "b", *SHORT,
        "--keep", "distill",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "nobody knows" in done.stdout


def test_the_example_of_the_page_runs(
    learnt: tuple[Path, Any], further: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    names = {
        "new_photos": further,
        "efficientnet_lite0": "double_vivid",
        "runs/1": learnt[0],
        "runs/2": tmp_path / "run",
        "replay=10": 'replay=10, head_epochs=4, epochs=1, views=1, augment="none"',
    }
    for name, ours in names.items():
        assert name in code
        code = code.replace(name, str(ours))
    exec(compile(code, str(PAGE), "exec"), {})
    assert "forgotten of" in capsys.readouterr().out


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
        (("--keep", "lora", "--schedule", "head"), 2, "--schedule head"),
        (("--keep", "nothing"), 2, "is not one of"),
        (("--keep", "statistics"), 2, "with --schedule head"),
        (("--target", "elsewhere"), 2, "without --target and --fair"),
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


def test_a_run_is_not_written_over_the_one_that_it_goes_on_from(
    learnt: tuple[Path, Any], go_on: Run, further: Path
) -> None:
    before = (learnt[0] / "run.json").read_bytes()
    done = go_on(further, learnt[0], "--overwrite")
    assert done.code == 2
    assert "expected another --out" in done.stderr
    assert (learnt[0] / "run.json").read_bytes() == before


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
