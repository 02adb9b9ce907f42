"""How much of a budget a page may take."""

from __future__ import annotations

import time

import pytest

from tfxfer.cli.report import find_reserve
from tfxfer.job.choice import Clock


@pytest.mark.parametrize(
    ("budget", "reserve"), [(None, 0.0), (60.0, 0.0), (119.0, 0.0), (120.0, 8.0), (600.0, 8.0)]
)
def test_a_page_takes_a_fifteenth_of_a_budget_at_most(budget: float | None, reserve: float) -> None:
    assert find_reserve(budget) == reserve


def test_what_is_reserved_is_not_trained_in() -> None:
    now = time.monotonic()
    without, kept = (Clock(600.0, now, reserve).count_left() for reserve in (5.0, 13.0))
    assert without - kept == pytest.approx(8.0, abs=0.1)
