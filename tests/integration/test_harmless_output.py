"""Names that steer a terminal, turn text around or are formulas: harmless in all that is said."""

from __future__ import annotations

import csv
import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
NAMES = (
    "=HYPERLINK(1).png",
    "+1+cmd.png",
    "-1-cmd.png",
    "@SUM(1).png",
    "\t=1.png",
    "\r=1.png",
    "'=1.png",
    "\x1b]0;title\x07\x1b[2J.png",
    "\x9b31m.png",
    "a\u202egnp.exe.png",
    "a\u2066b\u2069\u200b.png",
    "line\nINJECTED.png",
    r"back\x1bslash.png",
)
LABELS = ("\x1b[31mred", "=green", "\u202eeulb")


def list_steering(text: str) -> list[str]:
    """Returns what steers a terminal; the ends of lines are ours."""
    return [x for x in text if unicodedata.category(x) in STEERING and x != "\n"]


def list_formulas(path: Path) -> list[str]:
    """Returns the cells of a CSV that a spreadsheet would run."""
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return [x for x in cells if FORMULA.match(x) and not NUMBER.fullmatch(x)]


@pytest.fixture(scope="module")
def hostile(paint: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for name in NAMES:
            paint(rng, channel).save(root / label / name)
    first = root / LABELS[0]
    (first / "broken\x1b[2J\nINJECTED.png").write_bytes(b"no image")
    (first / "=1+1.txt").write_text("no image")
    (first / "notes\u202e.txt").write_text("no image")
    shutil.copy(first / NAMES[0], first / "@copy\x1b.png")
    return root


@pytest.fixture(scope="module")
def trained(
    hostile: Path, train: Run, tmp_path_factory: pytest.TempPathFactory, _surroundings: None
) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("out") / "run"
    options = ("--schedule", "head", "--head-epochs", 6, "--views", 1, "--batch-size", 4)
    done = train(hostile, "--out", out, *options, "--json")
    assert done.code == 0, done.stderr
    return out, done


@pytest.fixture(params=["text", "json"])
def said(
    request: pytest.FixtureRequest, hostile: Path, trained: tuple[Path, Any], tfxfer: Run,
    tmp_path: Path,
) -> tuple[list[Any], Path]:  # fmt: skip
    """What every command says of these samples, and the folder that holds what it wrote."""
    run, first = trained
    photos = [hostile / label / name for label in LABELS for name in NAMES]
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    copy = shutil.copytree(hostile, tmp_path / "copy")
    extra = ("--json",) if request.param == "json" else ("-v",)
    calls: list[tuple[Any, ...]] = [
        (
            "audit", hostile, "--out", tmp_path / "audit", "--backbone", "double_vivid",
            "--no-label-check",
        ),
        ("evaluate", run, hostile, "--out", tmp_path / "evaluated.csv"),
        ("predict", run, *photos, "--csv", tmp_path / "predicted.csv"),
        ("predict", run, hostile / "\x1b[2Jgone.png", hostile / "\u202egone.png"),
        ("evaluate", run / "model.keras", hostile, "--labels", labels),
        ("evaluate", run, hostile / "\x1b[2J"),
        ("evaluate", run, copy, "--out", tmp_path / "copied.csv"),
        ("compare", run, run),
        ("report", run, "--out", tmp_path / "page.html"),
        ("plugin", "new", "\x1b[2Jname"),
        ("\x1b[2Jcommand",),
        ("train", hostile, "--backbone", "\x1b[2J\u202ename", "--out", tmp_path / "no"),
    ]  # fmt: skip
    return [first, *(tfxfer(*words, *extra) for words in calls)], tmp_path


def test_nothing_that_is_said_steers_a_terminal(said: tuple[list[Any], Path]) -> None:
    for done in said[0]:
        assert list_steering(done.stdout) == [], done.stdout[:2000]
        assert list_steering(done.stderr) == [], done.stderr[:2000]
        lines = (done.stdout + done.stderr).splitlines()
        assert not [line for line in lines if line.startswith("INJECTED")]
        assert done.code != 70, done.stderr


def test_files_that_people_open_are_harmless(
    said: tuple[list[Any], Path], trained: tuple[Path, Any]
) -> None:
    tables = [*said[1].rglob("*.csv"), *trained[0].rglob("*.csv")]
    assert {"split.csv", "predictions.csv", "skipped.csv", "evaluated.csv", "predicted.csv"} <= {
        path.name for path in tables
    }
    for path in tables:
        assert list_formulas(path) == [], path
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        assert list_steering(text) == [], path
    pages = [said[1] / "page.html", *trained[0].rglob("*.json"), trained[0] / "labels.txt"]
    for path in pages:
        assert list_steering(path.read_text("utf-8")) == [], path


def test_json_is_valid_and_says_the_names_as_they_are(
    trained: tuple[Path, Any], hostile: Path, tfxfer: Run
) -> None:
    photo = hostile / LABELS[0] / NAMES[7]
    done = tfxfer("predict", trained[0], photo, "--json")
    assert json.loads(done.stdout)[0]["image"] == str(photo)
    assert set(trained[1].document["labels"]) == {r"\u202eeulb", r"\x1b[31mred", "=green"}


def test_a_run_finds_its_samples_again(
    trained: tuple[Path, Any], hostile: Path, tfxfer: Run
) -> None:
    run, done = trained
    found = tfxfer("evaluate", run, hostile, "--json")
    assert found.code == 0, found.stderr
    assert found.document["images"] == done.document["data"]["test"]
    assert found.document["confusion"] == done.document["metrics"]["test"]["confusion"]
    # The control: paths as they are would steer whoever opens the table.
    from tfxfer.data.table import read_split_table

    paths = {row.path for row in read_split_table(run / "split.csv")}
    assert {f"{label}/{name}" for label in LABELS for name in NAMES} <= paths
    assert list_steering("".join(paths))
