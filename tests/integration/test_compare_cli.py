"""Two runs, of which nothing but their tables is there, compared on the samples of both."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.run.directory import Manifest, RunDirectory
from tfxfer.system.files import write_table

# Importing any of these is a fault that a test sees.
PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras"):
            raise RuntimeError(f"imports {name}")

sys.meta_path.insert(0, Refuse())
from tfxfer.cli.main import main
main(sys.argv[1:])
"""


def make_run(
    path: Path,
    *,
    parts: str = "trvt" + "e" * 10,
    wrong: Sequence[int] = (),
    labels: tuple[str, ...] = ("a", "b"),
    right: str = "",
    **changes: Any,
) -> Path:
    """Writes a finished run; `parts` has a letter a sample: t(r)ain, v(al), (t)e(st)."""
    run = RunDirectory.create(path)
    options = {"backbone": "b", "head": "classification", "labels": labels, "status": "done"}
    run.write_manifest(Manifest(**{**options, **changes}))
    names = {"t": "train", "r": "train", "v": "val", "e": "test"}
    rows = [
        SplitRow(f"{n}.png", "a", names[part], f"{n}.png", f"{n:016x}")
        for n, part in enumerate(parts)
    ]
    write_split_table(run.split_path, rows)
    answers = [
        {
            "path": row.path,
            "split": row.split,
            "truth": "a",
            "label": "b" if number in wrong else "a",
            "score": 0.9,
            "right": right or ("false" if number in wrong else "true"),
        }
        for number, row in enumerate(rows)
        if row.split != "train"
    ]
    write_table(run.predictions_path, answers)
    return run.path


def compare(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "compare", *map(str, words)], capture_output=True, text=True
    )


def test_two_runs_are_compared_on_the_tests_of_both(tmp_path: Path) -> None:
    first = make_run(tmp_path / "one", wrong=(5, 6, 7))
    # Sample 4 is in its training, and sample 13 in nobody's else.
    second = make_run(tmp_path / "two", parts="trvtt" + "e" * 9, wrong=(5, 8))
    done = compare(first, second, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["samples"], document["left_out"]) == (9, 1)
    keys = ("both", "only_a", "only_b", "neither")
    assert [document[key] for key in keys] == [5, 1, 2, 1]
    assert document["difference"]["value"] == pytest.approx(1 / 9)
    assert [item["path"] for item in document["differing"]] == ["6.png", "7.png", "8.png"]
    said = compare(first, second, "-v")
    assert "two is right on 2 samples where" in said.stdout
    assert "no difference can be seen with 9 samples" in said.stdout
    assert "left out, since the other was trained on them: 1 and 0" in said.stderr
    assert "6.png" in said.stdout
    assert "6.png" not in compare(first, second).stdout


def test_validation_is_compared_where_it_is_asked_for(tmp_path: Path) -> None:
    first = make_run(tmp_path / "one", parts="ttvvvveeee", wrong=(2, 3, 6))
    # Samples 0 and 4 change places, and 9 is in its validation.
    second = make_run(tmp_path / "two", parts="vtvvtveeev", wrong=(0, 3))
    samples = {}
    for split in ("test", "val", "all"):
        done = compare(first, second, "--split", split, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        keys = ("samples", "left_out", "both", "only_a", "only_b", "neither")
        samples[split] = [document[key] for key in keys]
        assert ("flatters both" in done.stderr) is (split != "test")
    # A test takes nothing that chose an epoch: 9 is out. Otherwise the trainings alone are.
    assert samples["test"] == [3, 1, 2, 0, 1, 0]
    assert samples["val"] == [3, 2, 1, 0, 1, 1]
    assert samples["all"] == [7, 2, 4, 0, 2, 1]
    assert json.loads(compare(first, second, "--json").stdout)["samples"] == 3
    for words, told in (
        (("--split", "train"), "'train' is not one of 'test', 'val', 'all'"),
        (("--split", "val", "--data", tmp_path), "expected --data or --split"),
    ):
        done = compare(first, second, *words)
        assert done.returncode == 2
        assert told in done.stderr


def test_what_cannot_be_compared_is_told_at_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    old = make_run(tmp_path / "old")
    (old / "predictions.csv").unlink()
    cut = make_run(tmp_path / "cut", status="interrupted")
    edited = make_run(tmp_path / "edited")
    (edited / "predictions.csv").write_text("path,label\n")
    for other, told in (
        (tmp_path / "gone", "no run at"),
        (make_run(tmp_path / "labels", labels=("a", "c")), "with the same labels"),
        (make_run(tmp_path / "head", head="multilabel"), "heads 'classification' and 'multilabel'"),
        (make_run(tmp_path / "number", right=" "), "nearer or farther"),
        (make_run(tmp_path / "apart", parts="v" * 14), "none in common"),
        (old, "--data DATA"),
        (cut, "status='interrupted'"),
        (edited, "expected the columns"),
    ):
        done = compare(run, other)
        assert done.returncode == 1, done.stderr
        assert told in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in done.stderr


def test_answers_to_names_that_are_guarded_are_found(tmp_path: Path) -> None:
    both = make_run(tmp_path / "one"), make_run(tmp_path / "two")
    for run, name in zip(both, ("'=5.png", "=5.png"), strict=True):
        (run / "split.csv").write_text((run / "split.csv").read_text().replace("5.png", "=5.png"))
        table = run / "predictions.csv"
        table.write_text(table.read_text().replace("5.png", name))
    assert json.loads(compare(*both, "--json").stdout)["samples"] == 10


def test_copies_count_once_and_other_truths_not_at_all(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "one"), make_run(tmp_path / "two", wrong=(9,))
    for run in (first, second):
        text = (run / "split.csv").read_text()
        (run / "split.csv").write_text(text.replace(f"{5:016x}", f"{4:016x}"))
    table = second / "predictions.csv"
    table.write_text(table.read_text().replace("6.png,test,a", "6.png,test,b"))
    done = compare(first, second, "--json")
    document = json.loads(done.stdout)
    assert (document["samples"], document["only_a"], document["left_out"]) == (8, 1, 1)
    assert "one: 1 copies of other samples count once" in done.stderr
    assert "call them different things: 1" in done.stderr


def test_models_are_scored_anew_on_other_samples(
    tmp_path: Path, photos: Path, train: Any, tfxfer: Any
) -> None:
    options = ("--schedule", "head", "--head-epochs", 2)
    for name, seed in (("one", 0), ("two", 1)):
        done = train(photos, "--out", tmp_path / name, "--seed", seed, *options)
        assert done.code == 0, done.stderr
    other = shutil.copytree(photos, tmp_path / "other")
    both = (tmp_path / "one", tmp_path / "two")
    done = tfxfer("compare", *both, "--data", other, "--json")
    assert done.code == 0, done.stderr
    document = done.document
    assert document["samples"] >= 1
    # Each has learnt from most of them.
    assert document["left_out"] > document["samples"]
    same = tfxfer("compare", both[0], both[0], "--data", other, "--json").document
    assert (same["only_a"], same["only_b"]) == (0, 0)
    gone = tfxfer("compare", tmp_path / "one", tmp_path / "gone", "--data", photos)
    assert gone.code == 1
    assert "nothing there" in gone.error or "no run" in gone.error
