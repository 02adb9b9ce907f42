from __future__ import annotations

import pytest

from tfxfer.errors import UsageError
from tfxfer_edge.door import find_door
from tfxfer_edge.proof.gate import (
    count_views,
    judge,
    ladder,
    relative_drop,
)


def test_auto_is_the_ladder_and_float16_only_on_request() -> None:
    own = ("int8", "dynamic_w8")
    assert ladder(["auto"], automatic=own) == own
    assert ladder(["auto"], automatic=own, allow_float=True) == (*own, "float16")
    assert ladder(["float16", "int8", "float16"], automatic=own) == ("float16", "int8")
    assert "float16" not in find_door("image").ladder


@pytest.mark.parametrize("names", [[], ["auto", "int8"], ["int7"]])
def test_names_that_cannot_be_meant(names: list[str]) -> None:
    with pytest.raises(UsageError, match="recipe"):
        ladder(names, automatic=())


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
