"""What a person reads of an export, from made-up documents."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from tfxfer.evaluation import Metric
from tfxfer_edge.cli.export_tables import show_candidates


def make_candidate(recipe: str, **changes: Any) -> dict[str, Any]:
    drop = {"value": 0.8, "low": -0.6, "high": 2.2}
    return {
        "recipe": recipe,
        "bytes": 3_650_000,
        "latency_ms": 8.9,
        "metrics": {"test": {"accuracy": {"value": 0.848, "low": 0.8, "high": 0.9}}},
        "val_drop_points": drop,
        "val_views": None,
        "test_drop_points": {"value": -0.3, "low": -1.5, "high": 0.9},
        "agreement": 0.975,
        "passed": True,
        "reason": "",
        "bytes_saved": 9_850_000,
        "times_faster": 1.4,
        "slower_than_float": False,
        **changes,
    }


def show(*candidates: dict[str, Any], chosen: str | None, unit: str = "percent") -> Any:
    """Returns the titles, the rows by recipe, and the lines below the table."""
    tables: list[Any] = []
    lines: list[str] = []
    output: Any = SimpleNamespace(
        show_table=lambda titles, rows: tables.append((titles, rows)), show=lines.append
    )
    figure = {"value": 0.858, "low": 0.82, "high": 0.89}
    metric = Metric("accuracy") if unit == "percent" else Metric("mean error", "own", "number")
    document = {
        "metric": {"name": "accuracy", **asdict(metric)},
        "float": {
            "tflite_bytes": 13_500_000,
            "latency_ms": 12.4,
            "metrics": {"test": {"accuracy": figure}},
        },
        "candidates": list(candidates),
        "chosen": chosen,
        "because": None if chosen is None else "it is the only one that passed",
    }
    show_candidates(output, document)
    ((titles, rows),) = tables
    assert all(len(row) == len(titles) for row in rows)
    return titles, {row[0]: dict(zip(titles, row, strict=True)) for row in rows}, lines


def test_the_table_begins_with_float32() -> None:
    _, rows, lines = show(make_candidate("int8"), chosen="int8")
    assert list(rows) == ["float32", "int8"]
    assert rows["float32"]["ACCURACY (TEST)"] == "85.8 %"
    assert (rows["float32"]["MB"], rows["float32"]["MS"]) == ("13.50", "12.4")
    assert rows["int8"]["SPEED"] == "1.4x"
    assert rows["int8"]["SAVED"] == "73 %"
    assert rows["int8"][""] == "chosen"
    assert lines[-1] == "int8 chosen because it is the only one that passed"


def test_below_zero_is_worse() -> None:
    _, rows, lines = show(make_candidate("int8"), chosen="int8")
    # 0.8 points were lost on validation, 0.3 won on test.
    assert rows["int8"]["CHANGE (VAL)"] == "-0.8 [-2.2, +0.6]"
    assert rows["int8"]["(TEST)"] == "+0.3 [-0.9, +1.5]"
    assert lines[0] == "CHANGE: of accuracy, in points; -0.8: 0.8 points worse than float32"


def test_nothing_lost_has_no_odd_sign() -> None:
    same = {"value": 0.0, "low": 0.0, "high": 0.0}
    _, rows, _ = show(make_candidate("int8", val_drop_points=same), chosen="int8")
    assert rows["int8"]["CHANGE (VAL)"] == "+0.0 [+0.0, +0.0]"


def test_errors_are_in_percent_of_the_error() -> None:
    _, _, lines = show(make_candidate("int8", agreement=None), chosen="int8", unit="own")
    assert "percent of float32's" in lines[0]


def test_what_is_slower_than_float_is_marked() -> None:
    slow = make_candidate("dynamic_w8", times_faster=0.56, slower_than_float=True)
    _, rows, _ = show(slow, make_candidate("int8"), chosen="int8")
    assert rows["dynamic_w8"][""] == "passed; slower than float32 on this CPU"
    assert rows["dynamic_w8"]["SPEED"] == "0.6x"
    slowest = make_candidate("int16x8", times_faster=0.047, slower_than_float=True)
    assert show(slowest, chosen="int16x8")[1]["int16x8"]["SPEED"] == "0.047x"
    assert "slower" not in rows["int8"][""]


def test_float32_that_was_asked_for_is_one_row_and_the_first() -> None:
    asked = make_candidate("float32", times_faster=1.0, bytes_saved=0)
    _, rows, _ = show(make_candidate("int8"), asked, chosen="int8")
    assert list(rows) == ["float32", "int8"]
    assert (rows["float32"]["SPEED"], rows["float32"]["SAVED"]) == ("", "")


def test_a_recipe_without_a_file_or_a_score() -> None:
    nothing = dict.fromkeys(
        ("bytes", "latency_ms", "metrics", "val_drop_points", "test_drop_points", "agreement",
         "bytes_saved", "times_faster", "slower_than_float")
    )  # fmt: skip
    failed = make_candidate("int8", **nothing, passed=False, reason="no engine")
    _, rows, lines = show(failed, chosen=None)
    assert rows["int8"][""] == "no: no engine"
    assert set(rows["int8"].values()) == {"int8", "", "no: no engine"}
    assert len(lines) == 1


@pytest.mark.parametrize("views", [2, 4])
def test_the_table_says_on_how_many_views_a_loss_was_measured(views: int) -> None:
    drop = {"value": 1.5, "low": 0.2, "high": 2.8}
    near = make_candidate(
        "int8", val_views={"views": views, "drop_points": drop}, passed=False, reason="loses"
    )
    _, rows, _ = show(near, make_candidate("float16"), chosen="float16")
    assert rows["int8"]["CHANGE (VAL)"] == f"-1.5 [-2.8, -0.2], {views} views"
    assert rows["int8"][""] == "no: loses"
    assert "views" not in rows["float16"]["CHANGE (VAL)"]
