"""What benchmarks/style.py and benchmarks/meta.py count, on records made up here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Callable[[str], Any]:
    return import_script


def test_the_table_has_means_over_seeds_and_over_directions(script: Callable[[str], Any]) -> None:
    values = {
        "a:b/plain/0": 0.25, "a:b/plain/1": 0.35, "a:b/fda/0": 0.5,
        "b:a/plain/0": 0.5, "b:a/fda/0": 0.7, "b:a/both/0": 1.0,
    }  # fmt: skip
    runs = {key: {"target": {"value": value}} for key, value in values.items()}
    columns, rows = script("style").tabulate(runs)
    assert columns == ["look → other", "plain", "fda", "both"]
    assert rows == [
        ["a:b", "30.0", "50.0", ""],
        ["b:a", "50.0", "70.0", "100.0"],
        ["mean", "40.0", "60.0", ""],
    ]


def test_halves_of_a_look_share_no_photo(script: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "all" / "dog").mkdir(parents=True)
    for number in range(6):
        (tmp_path / "all" / "dog" / f"{number}.jpg").touch()
    copy = script("style").copy_photos
    one = copy(tmp_path / "all", tmp_path / "one", slice(2))
    other = copy(tmp_path / "all", tmp_path / "other", slice(2, 4))
    names = [sorted(path.name for path in root.rglob("*.jpg")) for root in (one, other)]
    assert names == [["0.jpg", "1.jpg"], ["2.jpg", "3.jpg"]]


def test_a_task_is_tested_with_other_images(script: Callable[[str], Any]) -> None:
    numbers = np.repeat(np.arange(4), 40)
    split = script("meta").split_task
    rows, classes, tested, truth = split(numbers, 3, 5, np.random.default_rng(0))
    assert (len(rows), len(tested)) == (15, 45)
    assert not set(rows) & set(tested)
    for place in range(3):
        assert set(numbers[rows[classes == place]]) == set(numbers[tested[truth == place]])


def test_starts_are_compared_on_the_same_draws(script: Callable[[str], Any]) -> None:
    plain, reptile = [[0.2, 0.6], [0.4, 0.8]], [[0.3, 0.5], [0.7, 0.9]]
    first, second = script("meta").compare(plain, reptile)
    # Gains of 10 and 30 points: their deviation is 14.1, their mean's a root of 2 less.
    assert first == pytest.approx({"plain": 30, "reptile": 50, "gain": 20, "half_width": 19.6})
    assert second == pytest.approx({"plain": 70, "reptile": 70, "gain": 0, "half_width": 19.6})
