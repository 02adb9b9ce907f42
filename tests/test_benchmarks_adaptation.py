"""The pairs of looks that benchmarks/adaptation.py draws, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Any:
    return import_script("adaptation")


@pytest.fixture
def features(script: Any) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(0), {}
    labels = np.repeat(np.arange(7), 100)
    for number, look in enumerate(script.LOOKS):
        centres = 4 * np.eye(20)[:7] + number * rng.normal(size=(7, 20))
        found[look] = (centres[labels] + rng.normal(size=(700, 20)) + 6).astype(np.float32)
        found[f"{look}_labels"] = labels
    return found


def test_pairs_have_the_shares_that_are_said(script: Any, features: dict[str, np.ndarray]) -> None:
    pairs = list(script.draw_pairs(features, (0, 1)))
    assert len(pairs) == 2 * 6 * 2
    assert len({(pair.kind, pair.name, pair.seed) for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert len(pair.source) == 525
        counts = np.bincount(pair.truth, minlength=7)
        wanted = [100] * 7 if pair.kind == "equal shares" else sorted(script.SHARES)
        assert sorted(counts.tolist()) == wanted
    first, second = (pair for pair in pairs if pair.name == "photo to cartoon" and pair.seed == 1)
    assert (first.source == second.source).all()


def test_what_is_right_is_counted(script: Any, features: dict[str, np.ndarray]) -> None:
    pair = next(script.draw_pairs(features, (0,)))
    row = script.measure(pair)
    assert row["auto"] in (row["source only"], row["coral"], row["self_training"])
    assert row["self_training"] > 90
    assert script.count_right(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 1, 1])) == 50
