"""Which samples of an earlier run are learnt again."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.errors import RunError
from tfxfer.job.earlier import EarlierRun, draw_replay, find_root, list_split_files
from tfxfer.job.keep import select_tested
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import Manifest


def make_rows(*, train: int, val: int) -> list[SplitRow]:
    return [
        SplitRow(f"{label}/{part}{number}.jpg", label, part, "")
        for label in "ab"
        for part, count in (("train", train), ("val", val))
        for number in range(count)
    ]


def strata(rows: list[SplitRow]) -> list[str]:
    return [row.label for row in rows]


@pytest.mark.parametrize(("count", "val"), [(1, 0), (3, 1), (10, 2), (20, 4)])
def test_every_label_gets_as_many_and_some_choose_the_epoch(count: int, val: int) -> None:
    rows = make_rows(train=50, val=10)
    found = Counter((row.label, row.split) for row in draw_replay(rows, strata(rows), count, 0))
    for label in "ab":
        assert found[label, "val"] == val
        assert found[label, "train"] == count - val


def test_more_of_them_are_the_same_and_others_and_a_seed_is_a_draw() -> None:
    rows = make_rows(train=50, val=10)
    few, many, again = (draw_replay(rows, strata(rows), n, 0) for n in (10, 20, 10))
    assert set(few) < set(many)
    assert few == again
    assert few != draw_replay(rows, strata(rows), 10, 1)


def test_what_is_gone_is_made_up_for() -> None:
    rows = make_rows(train=20, val=0)
    gone = set(draw_replay(rows, strata(rows), 5, 0))
    found = draw_replay(rows, strata(rows), 5, 0, is_there=lambda row: row not in gone)
    assert len(found) == 10
    assert not gone & set(found)


def test_strata_that_depend_on_how_many_there_are_are_those_of_all_rows(tmp_path: Path) -> None:
    """Numbers are drawn by their quantiles, of which there are fewer in a draw."""

    def stratify(labels: list[str]) -> list[str]:
        return [f"{int(label) * (len(labels) // 10) // 100}" for label in labels]

    rows = tuple(SplitRow(f"{n}.jpg", str(n), "train", "") for n in range(100))
    for row in rows:
        (tmp_path / row.path).write_bytes(b"")
    run: Any = SimpleNamespace(path=tmp_path)
    manifest: Any = None  # a draw asks nothing of it
    earlier = EarlierRun(run, manifest, rows, tmp_path)
    head: Any = SimpleNamespace(strata=stratify)
    assert len(earlier.draw(2, head, seed=0)) == 20
    for row in rows[:10]:
        (tmp_path / row.path).unlink()
    with pytest.raises(RunError, match="of '0'"):
        earlier.draw(2, head, seed=0)


class Marked:
    """Samples of which only their fingerprints are known, a letter each."""

    def __init__(self, marks: str) -> None:
        self.fingerprints = tuple(marks)

    def __len__(self) -> int:
        return len(self.fingerprints)

    def select(self, mask: np.ndarray) -> Marked:
        return Marked("".join(np.array(self.fingerprints)[mask]))


def test_a_copy_in_the_new_data_is_no_second_test_sample() -> None:
    parts = (("a", "test"), ("c", "train"))
    rows = [SplitRow(f"{n}.jpg", "x", part, "", fingerprint=n) for n, part in parts]
    test: Any = Marked("abac")
    earlier: Any = SimpleNamespace(rows=rows)
    assert select_tested(test, earlier).fingerprints == ("a",)


@pytest.mark.parametrize(
    ("data", "root"), [("gone/table.csv", "gone"), ("gone/photos", "gone/photos"), ("", None)]
)
def test_photos_beside_a_table_that_is_gone_are_still_found(data: str, root: str | None) -> None:
    manifest: Any = SimpleNamespace(request={"data": data}, modality="image")
    assert find_root(manifest, None) == (None if root is None else Path(root))


def make_chain(folder: Path, names: str) -> list[RunDirectory]:
    """Returns runs, each of which went on from the one before."""
    runs: list[RunDirectory] = []
    for name in names:
        request = {"from_run": str(runs[-1].path)} if runs else {}
        run = RunDirectory.create(folder / name)
        run.write_manifest(Manifest(backbone="b", head="h", request=request, status="done"))
        write_split_table(run.split_path, [SplitRow(f"{name}.jpg", "x", "train", "", "0" * 16)])
        runs.append(run)
    return runs


def test_all_that_came_before_is_known_as_far_as_it_is_there(tmp_path: Path) -> None:
    runs = make_chain(tmp_path, "abc")
    last = runs[-1]
    found = list_split_files(last, last.read_manifest())
    assert found == tuple(run.split_path for run in reversed(runs))
    shutil.rmtree(runs[1].path)
    assert list_split_files(last, last.read_manifest()) == (last.split_path,)


def test_runs_that_name_each_other_end(tmp_path: Path) -> None:
    first, last = make_chain(tmp_path, "ab")
    looped = replace(first.read_manifest(), request={"from_run": str(last.path)})
    first.write_manifest(looped)
    assert len(list_split_files(last, last.read_manifest())) == 2
