"""What benchmarks/adaptation_training.py draws and sums up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Any:
    return import_script("adaptation_training")


def test_uneven_targets_have_each_share_once(script: Any) -> None:
    found = script.count_photos(100, 3, is_uneven=True)
    assert sorted(found) == sorted(script.SHARES)
    assert found != script.count_photos(100, 4, is_uneven=True)
    assert sorted(script.count_photos(40, 3, is_uneven=True)) == [2, 4, 8, 16, 24, 32, 40]


def test_a_look_is_copied_as_counted(script: Any, tmp_path: Path) -> None:
    for label in ("dog", "house"):
        (tmp_path / "all" / label).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "all" / label / f"{number}.jpg").touch()
    found = script.copy_look(tmp_path / "all", tmp_path / "some", [3, 1])
    names = sorted(path.relative_to(found).as_posix() for path in found.rglob("*.jpg"))
    assert names == ["dog/0.jpg", "dog/1.jpg", "dog/2.jpg", "house/0.jpg"]


def test_source_only_is_the_run_of_auto_before(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {
        "a:b/0/auto": {"before": 40.0, "target": 60.0},
        "a:b/1/auto": {"before": 50.0, "target": 70.0},
        "a:b/0/mmd": {"before": None, "target": 45.0},
        "a:b/1/mmd": {"before": None, "target": 49.0},
    }
    found = script.summarize(runs)
    assert found["source only"] == {"a:b": [40.0, 50.0]}
    assert found["mmd"] == {"a:b": [45.0, 49.0]}
    script.show(runs)
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("| mmd")]
    assert line.split("|")[2:5] == [" 47.0 ", " 47.0 ", " -1.0       "]
