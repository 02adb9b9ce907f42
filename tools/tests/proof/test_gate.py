from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.errors import UsageError
from tfxfer_edge.proof.gate import (
    LADDER,
    Candidate,
    choose,
    count_views,
    find_better,
    judge,
    ladder,
    relative_drop,
)


def candidate(recipe: str = "int8", **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "recipe": recipe,
        "path": f"model_{recipe}.tflite",
        "bytes": 100,
        "engine": "quantizer",
        "metrics": {},
        "drop_points": 0.5,
        "val_drop_points": {"value": 0.5, "low": 0.0, "high": 1.0},
        "test_drop_points": {"value": 0.5, "low": 0.0, "high": 1.0},
        "latency_ms": 5.0,
        "agreement": 0.99,
        "passed": True,
        "reason": "",
    }
    return Candidate(**{**values, **changes})


def test_auto_is_the_ladder_and_float16_only_on_request() -> None:
    assert ladder(["auto"]) == LADDER
    assert "float16" not in LADDER
    assert ladder(["auto"], allow_float=True) == (*LADDER, "float16")
    assert ladder(["float16", "int8", "float16"]) == ("float16", "int8")


@pytest.mark.parametrize("names", [[], ["auto", "int8"], ["int7"]])
def test_names_that_cannot_be_meant(names: list[str]) -> None:
    with pytest.raises(UsageError, match="recipe"):
        ladder(names)


def test_a_drop_passes_up_to_the_limit() -> None:
    assert judge(drop(1.0, 0.0), 1.0) == (True, "")
    assert judge(drop(-0.3, 0.0), 0.0) == (True, "")
    assert judge(drop(50.0, 0.0), None) == (True, "")
    assert judge(drop(1.1, 0.0), 1.0) == (False, "loses 1.10 points [1.10, 1.10], more than 1")


def drop(value: float, error: float) -> dict[str, float]:
    return {"value": value, "low": value - 1.96 * error, "high": value + 1.96 * error}


@pytest.mark.parametrize(
    ("value", "error", "max_drop", "images", "views"),
    [
        (1.02, 0.62, 1.0, 393, 4),
        (1.0, 0.62, 1.0, 393, 1),  # no more than the limit
        (0.51, 0.62, 1.0, 393, 1),
        (3.0, 0.9, 1.0, 393, 1),
        (1.1, 0.3, 1.0, 1000, 2),
        (1.01, 0.1, 1.0, 10_000, 1),  # as many as there would be with views
        (0.0, 0.25, 0.0, 393, 1),
        (1.7, 1.6, 1.0, 60, 4),
        (1.02, 0.62, None, 393, 1),
    ],
)
def test_a_drop_just_above_the_limit_is_measured_on_more_views(
    value: float, error: float, max_drop: float | None, images: int, views: int
) -> None:
    assert count_views(drop(value, error), max_drop, images=images) == views


def test_errors_of_regression_are_relative() -> None:
    drop = {"value": 2.0, "low": -1.0, "high": 5.0}
    assert relative_drop(drop, reference=200.0)["value"] == 1.0
    assert relative_drop(drop, reference=0.0) == drop  # percent of nothing


def test_the_smallest_that_passed_or_the_fastest() -> None:
    small = candidate("dynamic_w8", bytes=90, latency_ms=20.0)
    fast = candidate("int8", bytes=100, latency_ms=4.0)
    smaller = candidate("int16x8", bytes=80, latency_ms=1.0, passed=False)
    failed = candidate("int8_selective", bytes=None, path=None, latency_ms=None, passed=False)
    everything = [fast, failed, smaller, small]
    chosen = choose(everything)
    assert chosen is small
    assert choose(everything, prefer="latency") is fast
    assert choose([smaller, failed]) is None
    with pytest.raises(UsageError, match="prefer"):
        choose(everything, prefer="colour")


def test_a_file_that_cannot_be_chosen_any_more() -> None:
    passed = candidate("int8", bytes=10, latency_ms=2.0)
    assert find_better(11, 3.0, [passed]) is passed
    assert find_better(9, 3.0, [passed]) is None
    assert find_better(11, 1.0, [passed]) is None
    assert find_better(11, 3.0, [replace(passed, passed=False)]) is None


@given(st.lists(st.tuples(st.integers(1, 10**7), st.booleans()), max_size=8))
def test_nothing_smaller_that_passed_is_left(sizes: list[tuple[int, bool]]) -> None:
    candidates = [candidate(bytes=size, passed=passed) for size, passed in sizes]
    chosen = choose(candidates)
    passed = [size for size, ok in sizes if ok]
    assert (chosen is None) == (not passed)
    if chosen is not None:
        assert chosen.bytes == min(passed)
