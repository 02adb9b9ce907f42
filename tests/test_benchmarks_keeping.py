"""What benchmarks/keeping.py claims, on records made up here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def keeping(import_script: Callable[[str], Any]) -> Any:
    return import_script("keeping")


def rows(**lost: list[float]) -> dict[str, Any]:
    return {
        f"{seed}/{way.replace('_', ' ')}": {"forgetting": {"lost": {"value": value}}}
        for way, values in lost.items()
        for seed, value in enumerate(values)
    }


def test_claims_are_of_the_means_over_seeds(keeping: Any) -> None:
    found = keeping.judge(rows(plain=[60, 40], distill=[10, 30], l2sp=[50, 50], replay_10=[2, 4]))
    assert found["lost_points"] == {"plain": 50, "distill": 20, "l2sp": 50, "replay 10": 3}
    assert found["best_without_photos"] == "distill"
    assert found["halves"]
    assert found["replay_holds"]
    found = keeping.judge(rows(plain=[40, 30], distill=[10, 30], replay_10=[2, 5]))
    assert not found["halves"]
    assert not found["replay_holds"]


def test_photos_are_the_first_by_name(keeping: Any, tmp_path: Path) -> None:
    (tmp_path / "all" / "rose").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "all" / "rose" / f"{number}.jpg").touch()
    found = keeping.copy_classes(tmp_path / "all", tmp_path / "few", ["rose"], 2)
    assert sorted(path.name for path in found.rglob("*.jpg")) == ["0.jpg", "1.jpg"]
