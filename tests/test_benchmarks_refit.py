"""What `benchmarks/int8_refit.py` claims of what it measured, and what it trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Any:
    return import_script("int8_refit")


def row(before: float, after: float, val: float = 0.0) -> dict[str, Any]:
    return {
        "as trained": {"lost": {"value": before}},
        "fitted": {"lost": {"value": after}, "val": {"value": val}},
    }


def test_the_mean_is_over_all_and_each_way_has_its_own(script: Any) -> None:
    found = script.judge({"a": row(2.0, 0.5), "b": row(1.0, -0.1)})
    assert found["mean_lost_points"] == pytest.approx({"as trained": 1.5, "fitted": 0.2})
    assert found["holds"]
    assert found["refused"] == 0


def test_what_is_not_held_is_said(script: Any) -> None:
    found = script.judge({"a": row(0.0, 0.5), "b": row(0.0, 0.2, val=1.1), "c": row(0, 0.5, 1.0)})
    assert not found["holds"]  # 0.4 where 0.3 are allowed
    assert found["refused"] == 1  # 1.0 is not above 1.0


def test_all_combinations_are_trained_once(script: Any) -> None:
    options = SimpleNamespace(
        sets="neu,elpv", backbones="resnet50", schedules="head,two_phase", seeds="0,1"
    )
    found = list(script.list_runs(options))
    assert len(found) == len(set(found)) == 8
    assert ("elpv", "resnet50", "head", 1) in found


def test_the_bar_is_of_networks_with_weights(script: Any) -> None:
    assert script.PRETRAINED == ("efficientnet_lite0", "mobilenet_v2", "resnet50")
    assert set(script.BACKBONES) - set(script.PRETRAINED) == {
        "efficientnet_b0", "mobilenet_v3_small",
    }  # fmt: skip


def test_a_record_of_other_settings_is_begun_anew(
    import_script: Callable[[str], Any], tmp_path: Path
) -> None:
    record, path = import_script("record"), tmp_path / "record.json"
    assert record.read_runs(path, {"photos": 10}) == {"settings": {"photos": 10}, "runs": {}}
    record.write_record(path, {"settings": {"photos": 10}, "runs": {"a": 1}})
    assert record.read_runs(path, {"photos": 10})["runs"] == {"a": 1}
    assert record.read_runs(path, {"photos": 20})["runs"] == {}
