"""What the script on scale writes and counts; that of 100,000 images is slow."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[1] / "benchmarks"
MOST_MIB = 2048


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(FOLDER)
    before, environment = set(sys.modules), dict(os.environ)
    yield importlib.import_module("scale")
    os.environ.clear()
    os.environ.update(environment)
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("count", [20, 50, 400, 1115, 26_110, 26_115, 100_000])
def test_images_are_dealt_out_whole(scale: Any, count: int) -> None:
    sizes = scale.deal_out(count)
    assert sum(sizes) == count
    assert len(sizes) > 1
    assert min(sizes) >= 10
    assert max(sizes) <= 20_010


def test_names_are_of_many_scripts_and_as_long_as_may_be(scale: Any) -> None:
    names = list(itertools.islice(scale.list_names(), 200))
    sizes = [len(name.encode()) for name in names]
    assert len(set(names)) == len(names)
    assert max(sizes) <= 255
    assert min(sizes[::10]) > 240
    assert len({name.split()[0][0] for name in names}) == len(scale.WORDS)


def test_images_are_all_different(scale: Any, tmp_path: Path) -> None:
    scale.write_images(tmp_path, [12, 11])
    found = sorted(tmp_path.glob("*/*.png"))
    assert [len(list(folder.iterdir())) for folder in sorted(tmp_path.iterdir())] == [12, 11]
    pixels = set()
    for path in found:
        with Image.open(path) as image:
            assert image.size == (32, 32)
            pixels.add(image.tobytes())
    assert len(pixels) == 23


def test_memory_is_counted_above_what_it_starts_from(scale: Any) -> None:
    point = {"samples": 50, "seconds": 9.0, "cpu_s": 12.0, "peak_mib": 900.0}
    points = {
        "few": point,
        "many": {**point, "samples": 6000, "peak_mib": 1500.0},
        "rows": {**point, "peak_mib": 700.0, "before_mib": 300.0},
    }
    rows = scale.list_rows(points)
    assert [row["above_mib"] for row in rows] == [0, 600, 400]
    assert [row["cpu_s_per_1000"] for row in rows] == [240, 2, 240]


def test_a_table_is_read_once_for_each_row(scale: Any) -> None:
    found = scale.measure_rows(2000)
    assert found["samples"] == 2000
    assert found["cpu_s"] < 2  # 0.02 s on an idle machine; 127 s for a million were 0.25


@pytest.mark.slow
def test_a_hundred_thousand_images_train(scale: Any) -> None:
    points = {str(n): scale.measure_images(scale.deal_out(n)) for n in (50, 20_000, 100_000)}
    few, many = scale.list_rows(points)[1:]
    assert many["above_mib"] < MOST_MIB
    assert many["cpu_s_per_1000"] < 1.5 * few["cpu_s_per_1000"]
