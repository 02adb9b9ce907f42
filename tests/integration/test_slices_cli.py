"""Further columns of a CSV, from training to the worst group."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.trust.slices import SliceReport

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def table(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos with a column that says something, and one that says too much."""
    root = Path(shutil.copytree(photos, tmp_path_factory.mktemp("sliced") / "photos"))
    with (root / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "Camera", "note"))
        for number, path in enumerate(sorted(root.rglob("*.*g"))):
            name = path.relative_to(root).as_posix()
            writer.writerow((name, path.parent.name, "xy"[number % 2], f"note {number}"))
    return root / "table.csv"


@pytest.fixture(scope="module")
def sliced(table: Path, train: Run, quick: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("sliced_run") / "run"
    done = train(table, "--out", out, *quick)
    assert done.code == 0, done.stderr
    return out, done


def test_training_tells_the_slices_and_keeps_them(sliced: Any, table: Path) -> None:
    run, done = sliced
    assert "accuracy by camera, worst first" in done.stdout
    report = SliceReport.read(run / "trust")
    assert report is not None
    assert (report.data, report.metric) == ("test", "accuracy")
    (column,) = report.columns
    assert {group.value for group in column.groups} == {"x", "y"}
    assert sum(group.samples for group in column.groups) == report.whole.samples
    with table.open(newline="") as file:
        expected = {row["path"]: row["Camera"] for row in csv.DictReader(file)}
    with (run / "slices.csv").open(newline="") as file:
        found = {row["path"]: row["camera"] for row in csv.DictReader(file)}
    assert found == expected
    # Readers of before know these columns and no other.
    for name, heading in (
        ("split.csv", "path,label,split,group,fingerprint"),
        ("predictions.csv", "path,split,truth,label,score,right"),
    ):
        assert (run / name).read_text().splitlines()[0] == heading


def test_evaluate_tells_them_of_the_run_and_of_other_data(
    sliced: Any, table: Path, tfxfer: Run
) -> None:
    run, _ = sliced
    done = tfxfer("evaluate", run, table, "--json")
    assert done.code == 0, done.stderr
    sliced_document = done.document["slices"]
    assert [item["column"] for item in sliced_document["columns"]] == ["camera"]
    assert sliced_document["whole"]["samples"] == done.document["images"]
    assert sliced_document["left_out"] == {"note": "nearly every sample has a value of its own"}


def test_a_table_beside_a_folder(
    learnt: Any, photos: Path, table: Path, tfxfer: Run, tmp_path: Path
) -> None:
    shutil.copy(table, tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text().replace("label,", "class,")
    (tmp_path / "s.csv").write_text(text)
    run = Path(shutil.copytree(learnt[0], tmp_path / "run"))
    assert tfxfer("evaluate", run, photos, "--json").document["slices"] is None
    done = tfxfer(
        "evaluate", run, photos, "--slices", tmp_path / "s.csv", "--slice", "CLASS", "--json"
    )
    assert done.code == 0, done.stderr
    (column,) = done.document["slices"]["columns"]
    accuracy = {x["value"]: x["metrics"]["accuracy"]["value"] for x in column["groups"]}
    recall = {x["label"]: x["recall"] for x in done.document["per_class"]}
    assert accuracy == pytest.approx(recall)
    assert np.isclose(sum(x["samples"] for x in column["groups"]), done.document["images"])
    # It was the run's own test: the run keeps what was found.
    report = SliceReport.read(run / "trust")
    assert report is not None
    assert report.to_dict() == done.document["slices"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--slice", "camra"), "Did you mean 'camera'?"),
        (("--slices", "nothing.csv"), "nothing.csv"),
    ],
)
def test_what_cannot_be_meant_is_told_at_once(
    sliced: Any, table: Path, tfxfer: Run, options: tuple[str, ...], words: str
) -> None:
    done = tfxfer("evaluate", sliced[0], table, *options)
    assert done.code == 1
    assert words in done.error
    assert "importing TensorFlow" not in done.stderr


def test_a_gate_ends_with_exit_code_3(
    sliced: Any, table: Path, tfxfer: Run, tmp_path: Path
) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text('bound = "value"\nleast = 1\nrules = ["worst-slice recall >= 0"]\n')
    done = tfxfer("evaluate", sliced[0], table, "--gate", gate, "--json")
    assert done.code == 0, done.stderr
    assert done.document["gate"]["holds"] is True
    assert done.document["gate"]["rules"][0]["where"].startswith("camera=")
    # Wilson's lower end is below 1, whatever six photos say.
    gate.write_text('bound = "low"\nrules = ["accuracy >= 1.0"]\n')
    done = tfxfer("evaluate", sliced[0], table, "--gate", gate, "--json")
    assert done.code == 3
    assert "accuracy >= 1.0: " in done.error
    assert done.document["gate"]["holds"] is False
    assert done.document["error"]["type"] == "GateError"
    assert "accuracy" in done.document
    shown = tfxfer("evaluate", sliced[0], table, "--gate", gate)
    assert shown.code == 3
    assert "NOT MET  accuracy >= 1.0" in shown.stdout


@pytest.mark.parametrize(
    ("rules", "code", "words"),
    [
        ('["acuracy >= 1.0"]', 2, "Did you mean 'accuracy'?"),
        ('["worst-slice accuracy by camra >= 1.0"]', 1, "Did you mean 'camera'?"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_told_at_once(
    sliced: Any, table: Path, tfxfer: Run, tmp_path: Path, rules: str, code: int, words: str
) -> None:
    (tmp_path / "gate.toml").write_text(f'bound = "low"\nrules = {rules}\n')
    done = tfxfer("evaluate", sliced[0], table, "--gate", tmp_path / "gate.toml")
    assert done.code == code
    assert words in done.error
    assert "importing TensorFlow" not in done.stderr
