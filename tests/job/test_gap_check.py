"""When a training measures the domain gap, and what becomes of one that cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import ModelError
from tfxfer.data.samples import SampleData
from tfxfer.job import gap_check
from tfxfer.job.gap_check import plan_gap_seconds, store_gap
from tfxfer.run.directory import RunDirectory
from tfxfer.training.speeds import Speeds
from tfxfer.trust.gap import QUICK_IMAGES
from tfxfer.trust.profile import GapProfile


def test_it_takes_a_twentieth_of_a_budget_at_most() -> None:
    speeds = Speeds(
        read_seconds=0.01, view_seconds=1.0, forward_seconds=0.02, cache_seconds=1.0,
        trace_seconds=1.5,
    )  # fmt: skip
    seconds = 2 * 1.5 + QUICK_IMAGES * (1.5 * 0.02 + 0.01) + 1
    assert plan_gap_seconds(speeds, None) == pytest.approx(seconds)
    assert plan_gap_seconds(speeds, 20 * seconds + 1) == pytest.approx(seconds)
    assert plan_gap_seconds(speeds, 20 * seconds - 1) == 0


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "run").mkdir()
    return RunDirectory(tmp_path / "run")


def test_what_is_stored_is_not_measured_again(
    run: RunDirectory, images: SampleData, make_tiny: Callable[..., Any]
) -> None:
    model = make_tiny()
    store_gap(run, images, model)
    first = GapProfile.read(run.trust)
    assert first is not None
    assert "random" in first.reason
    model.layers[-1].set_weights([np.full_like(x, np.nan) for x in model.layers[-1].get_weights()])
    store_gap(run, images, model)
    assert GapProfile.read(run.trust) == first


def test_a_gap_that_cannot_be_had_is_said_and_stops_nothing(
    run: RunDirectory, images: SampleData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ModelError("model 'x': expected finite activations. Received: NaN.")

    monkeypatch.setattr(gap_check, "measure_gap", fail)
    told: list[str] = []
    store_gap(run, images, object(), on_fault=told.append)
    assert told == ["no domain gap: model 'x': expected finite activations. Received: NaN."]
    assert GapProfile.read(run.trust) is None
