"""Whose features `--keep statistics` sums up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.data.table import SplitRow, write_split_table
from tfxfer.job import statistics


class Marked:
    """Samples of which only their fingerprints are known."""

    def __init__(self, marks: list[str]) -> None:
        self.fingerprints = tuple(marks)

    def select(self, mask: np.ndarray) -> Marked:
        return Marked(np.array(self.fingerprints)[mask].tolist())


def mark(number: int) -> str:
    return f"{number:016x}"


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A run that had samples 1 to 3, and went on from one that had 4."""
    tables = []
    for name, parts in (("last", {1: "train", 2: "val", 3: "test"}), ("first", {4: "train"})):
        rows = [SplitRow(f"{n}.jpg", "x", part, "", mark(n)) for n, part in parts.items()]
        write_split_table(tmp_path / f"{name}.csv", rows)
        tables.append((tmp_path / f"{name}.csv", rows))
    files = tuple(path for path, _ in tables)
    monkeypatch.setattr(statistics, "list_split_files", lambda run, manifest: files)
    stored = tmp_path / "statistics.npz"
    monkeypatch.setattr(statistics, "find_statistics", lambda run: stored)
    return SimpleNamespace(run=None, manifest=None, rows=tuple(tables[0][1]), stored=stored)


def select(earlier: Any) -> list[str]:
    split: Any = Marked([mark(n) for n in range(1, 6)])
    return list(statistics._select_new(split, earlier).fingerprints)


def test_what_a_run_has_stored_holds_the_sums_of_all_before_it(earlier: SimpleNamespace) -> None:
    earlier.stored.touch()
    # What it tested with is in no sum.
    assert select(earlier) == [mark(3), mark(5)]


def test_what_is_measured_anew_is_of_its_own_samples(earlier: SimpleNamespace) -> None:
    assert select(earlier) == [mark(3), mark(4), mark(5)]


def test_without_an_earlier_run_all_are_new() -> None:
    assert len(select(None)) == 5
