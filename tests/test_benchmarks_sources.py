"""The trials that benchmarks/sources.py draws, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Any:
    return import_script("sources")


@pytest.fixture
def features(script: Any) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(0), {}
    labels = np.repeat(np.arange(7), 100)
    for number, look in enumerate(script.SHIFTED):
        centres = 4 * np.eye(12)[:7] + 0.3 * number * rng.normal(size=(7, 12))
        found[look] = (centres[labels] + rng.normal(size=(700, 12)) + 6).astype(np.float32)
        found[f"{look}_labels"] = labels
    return found


def test_sources_have_the_sizes_that_are_said(script: Any, features: dict[str, Any]) -> None:
    trials = list(script.draw_sources(features, ["cartoon"], (0, 1)))
    assert [trial.kind for trial in trials[::2]] == [
        "sources 525:525", "sources 60:525", "sources 525:60",
    ]  # fmt: skip
    assert np.bincount(trials[2].domains).tolist() == [60, 525]
    assert len({trial.key for trial in trials}) == len(trials)


def test_the_planted_ratio_is_the_true_one(script: Any, features: dict[str, Any]) -> None:
    for trial in script.draw_shifted(features, (0,)):
        # Its mean over the source is 1, and it carries the source's mean over to the target.
        assert trial.ratios.mean() == pytest.approx(1, abs=0.35)
        shares = trial.ratios / trial.ratios.sum()
        away = np.linalg.norm(trial.source.mean(axis=0) - trial.target.mean(axis=0))
        left = np.linalg.norm(shares @ trial.source - trial.target.mean(axis=0))
        assert left < 0.5 * away


def test_what_is_gained_is_counted_by_image(script: Any) -> None:
    rows = [
        {"tested": [0, 1, 2, 3], "right": {"x": [1, 1, 1, 0], "pooled": [1, 0, 0, 0]}},
        {"tested": [0, 1], "right": {"x": [1, 0], "pooled": [0, 0]}},
    ]
    value, low, high = script.compare(rows, "x")
    assert value == pytest.approx(100 * 3 / 6)
    assert 0 <= low <= value <= high <= 100
    same = script.compare([{"tested": [0], "right": {"x": [1], "pooled": [1]}}], "x")
    assert same == (0, 0, 0)


def test_a_trial_is_measured_in_every_way(script: Any, features: dict[str, Any]) -> None:
    first = next(script.draw_sources(features, ["cartoon"], (0,)))
    row = script.measure(first)
    assert set(row["right"]) == {
        "pooled", "best alone", "balanced", "near", "reweighted", "auto",
    }  # fmt: skip
    assert np.mean(row["right"]["pooled"]) > 0.8
    shifted = script.measure(next(script.draw_shifted(features, (0,))))
    assert set(shifted["right"]) == {"pooled", "reweighted", "true ratios"}
    assert shifted["correlation"] > 0.5
    script.show([row, shifted])
