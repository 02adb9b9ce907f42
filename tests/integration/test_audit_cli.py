"""`tfxfer audit`: what is wrong with labelled samples, told without training."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer.data.table import read_split_table
from tfxfer.run.manifest import WeightsUsed
from tfxfer.trust.label_errors import read_label_errors

Run = Callable[..., Any]


@pytest.fixture
def spoilt(photos: Path, tmp_path: Path) -> Path:
    """The photos with one in the wrong folder, one twice, one damaged, and a remark beside them."""
    root = tmp_path / "spoilt"
    shutil.copytree(photos, root)
    shutil.move(root / "apple" / "03.png", root / "zebra" / "moved.png")
    shutil.copy(root / "mango" / "05.png", root / "mango" / "copy.png")
    (root / "mango" / "cut.png").write_bytes((root / "mango" / "07.png").read_bytes()[:200])
    (root / "notes.txt").write_text("mine")
    return root


@pytest.fixture
def audit(tfxfer: Run, weights: Path) -> Run:
    return lambda *args: tfxfer("audit", *args, "--backbone", "double_vivid", "--weights", weights)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_says_what_is_wrong(spoilt: Path, audit: Run, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    done = audit(spoilt, "--out", out)
    assert done.code == 0, done.stderr
    said = done.stdout
    assert "37 of 38 images are used" in said
    assert "3 classes: apple 11, mango 13, zebra 13" in said
    assert "corrupt: 1, 1 left out; mango/cut.png" in said
    assert "duplicate: 1; mango/copy.png: same as mango/05.png" in said
    assert "not read: 1 .txt" in said
    assert "1 label looks wrong: zebra/moved.png is labelled zebra, looks like apple (" in said
    header, *rows = [line.split() for line in said.splitlines() if line[:5] in
                     ("CLASS", "apple", "mango", "zebra")]  # fmt: skip
    assert header == ["CLASS", "TRAIN", "VAL", "TEST"]
    assert [(row[0], sum(map(int, row[1:]))) for row in rows] == [
        ("apple", 11), ("mango", 13), ("zebra", 13)
    ]  # fmt: skip
    assert {path.name for path in out.iterdir()} == {
        "skipped.csv", "split.csv", "duplicates.csv", "label_errors.csv"
    }  # fmt: skip
    assert [row["path"] for row in read_rows(out / "skipped.csv")] == ["mango/cut.png", "notes.txt"]
    (copy,) = read_rows(out / "duplicates.csv")
    assert copy == {"path": "mango/copy.png", "kind": "duplicate", "detail": "same as mango/05.png"}
    split = {row.path: row for row in read_split_table(out / "split.csv")}
    assert len(split) == 37
    assert split["mango/copy.png"].split == split["mango/05.png"].split
    first, *_ = read_label_errors(out / "label_errors.csv")
    assert (first.path, first.suggested, first.confident) == ("zebra/moved.png", "apple", True)
    assert split[first.path].split == first.split


def test_clean_data_has_no_label_that_looks_wrong(photos: Path, audit: Run) -> None:
    done = audit(photos, "--json", "--strict")
    assert done.code == 0, done.stderr
    document = done.document
    assert document["label_errors"] == []
    assert document["label_check"] is None
    assert document["counts"] == {}
    assert sum(document["split"].values()) == document["images"] == 36
    assert [row["label"] for row in document["classes"]] == ["apple", "mango", "zebra"]
    assert sum(row["train"] for row in document["classes"]) == document["split"]["train"]


def test_the_split_is_that_of_a_training(
    learnt: tuple[Path, Any], photos: Path, audit: Run, tmp_path: Path
) -> None:
    assert audit(photos, "--no-label-check", "--out", tmp_path / "t").code == 2  # of --weights
    run, _ = learnt
    done = audit(photos, "--out", tmp_path / "t")
    assert done.code == 0, done.stderr
    assert (tmp_path / "t" / "split.csv").read_bytes() == (run / "split.csv").read_bytes()


def test_strict_ends_as_a_strict_training_does(
    spoilt: Path, audit: Run, train: Run, tmp_path: Path
) -> None:
    done = audit(spoilt, "--strict", "--json")
    refused = train(spoilt, "--strict", "--out", tmp_path / "run")
    assert done.code == refused.code == 1
    assert done.error == refused.error
    # What was found is there all the same.
    assert done.document["images"] == 37
    assert "strict" in done.document["error"]["message"]


def test_without_the_label_check_no_weights_are_needed(spoilt: Path, tfxfer: Run) -> None:
    options = ("--backbone", "double_vivid", "--no-label-check")
    done = tfxfer("audit", spoilt, *options, "--json")
    assert done.code == 0, done.stderr
    assert done.document["label_errors"] is None
    assert done.document["label_check"] == "not asked for"
    assert "labels were not checked" in tfxfer("audit", spoilt, *options).stdout


def test_labels_that_are_numbers_are_not_checked(photos: Path, audit: Run, tmp_path: Path) -> None:
    root = tmp_path / "numbers"
    shutil.copytree(photos, root)
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    rows = [f"{path},{number}" for number, path in enumerate(paths)]
    (root / "table.csv").write_text("\n".join(["path,label", *rows]))
    done = audit(root / "table.csv", "--head", "regression")
    assert done.code == 0, done.stderr
    assert "labels were not checked: this head's labels do not exclude each other" in done.stdout
    assert "CLASS" not in done.stdout


def test_earlier_tables_are_kept(spoilt: Path, audit: Run, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    out.mkdir()
    (out / "split.csv").write_text("mine")
    refused = audit(spoilt, "--out", out)
    assert refused.code == 1
    assert "--overwrite" in refused.error
    assert (out / "split.csv").read_text() == "mine"
    (tmp_path / "file").write_text("")
    assert "Received: a file" in audit(spoilt, "--out", tmp_path / "file").error
    assert audit(spoilt, "--out", out, "--overwrite").code == 0
    assert (out / "split.csv").read_text() != "mine"


def test_labels_that_were_not_checked_leave_no_earlier_table(
    photos: Path, tfxfer: Run, tmp_path: Path
) -> None:
    out = tmp_path / "tables"
    out.mkdir()
    (out / "label_errors.csv").write_text("of other photos")
    (out / "mine.csv").write_text("mine")
    words = ("audit", photos, "--backbone", "double_vivid", "--no-label-check", "--out", out)
    done = tfxfer(*words, "--overwrite", "--json")
    assert done.code == 0, done.stderr
    tables = {"skipped.csv", "split.csv", "duplicates.csv"}
    assert {Path(path).name for path in done.document["files"]} == tables
    assert {path.name for path in out.iterdir()} == {*tables, "mine.csv"}


def test_a_training_looks_at_its_labels_on_the_way(
    spoilt: Path, train: Run, learnt: tuple[Path, Any], tmp_path: Path
) -> None:
    from tfxfer import RunDirectory, find_label_errors

    run = tmp_path / "run"
    done = train(spoilt, "--out", run, "--schedule", "head", "--head-epochs", 1)
    assert done.code == 0, done.stderr
    table = RunDirectory(run).label_errors_path
    split = {row.path: row.split for row in read_split_table(run / "split.csv")}
    assert split["zebra/moved.png"] != "test"
    errors = read_label_errors(table)
    assert {error.split for error in errors} <= {"train", "val"}
    assert errors[0].path == "zebra/moved.png"
    assert "1 label looks wrong: zebra/moved.png is labelled zebra, looks like app" in done.stdout
    assert str(table) in done.stdout
    # The record is read where it is, and made anew where it is gone.
    assert find_label_errors(run) == errors
    table.unlink()
    again = find_label_errors(run)
    assert (again[0].path, again[0].suggested) == ("zebra/moved.png", "apple")
    # Of clean data nothing is said.
    assert not any(error.confident for error in find_label_errors(learnt[0]))
    assert "wrong" not in learnt[1].stdout


def test_a_run_is_searched_with_the_weights_that_it_began_with(
    learnt: tuple[Path, Any], tmp_path: Path
) -> None:
    from tfxfer import RunDirectory, RunError, WeightsError, find_label_errors

    copy = tmp_path / "run"
    shutil.copytree(learnt[0], copy)
    run = RunDirectory.open(copy)
    run.label_errors_path.unlink(missing_ok=True)
    manifest = run.read_manifest()
    used = manifest.weights
    assert used is not None
    run.write_manifest(replace(manifest, weights=replace(used, sha256="0" * 64)))
    with pytest.raises(WeightsError, match="weights that it began with, sha256 0000"):
        find_label_errors(run)
    request = {**manifest.request, "weights": "none"}
    none = WeightsUsed("none")
    run.write_manifest(replace(manifest, weights=none, request=request))
    with pytest.raises(RunError, match=r"pretrained weights.*weights='none'"):
        find_label_errors(run)


def test_the_search_refuses_what_it_cannot_look_at(make_tiny: Any, images: Any) -> None:
    from tfxfer import DataError, UsageError, find_label_errors
    from tfxfer_heads import Multilabel

    with pytest.raises(UsageError, match="as data"):
        find_label_errors(make_tiny())
    with pytest.raises(DataError, match="do not exclude each other"):
        find_label_errors(make_tiny(head=Multilabel()), images)


def test_a_file_that_is_gone_by_then_is_no_mild_remark(
    spoilt: Path, audit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer import DataError

    def fail(*_: object, **__: object) -> None:
        raise DataError("image 'zebra/00.jpg': nothing there")

    monkeypatch.setattr("tfxfer.trust.label_search.find_label_errors", fail)
    done = audit(spoilt)
    assert done.code == 1
    assert "nothing there" in done.error
