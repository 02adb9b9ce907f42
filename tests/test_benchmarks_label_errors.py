"""Labels made wrong on purpose are found on real photos, as docs/label_errors.md says."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def script(import_script: Callable[[str], Any]) -> Any:
    return import_script("label_errors")


def test_a_share_of_labels_becomes_another_class(script: Any) -> None:
    targets = np.eye(4, dtype=np.float32)[np.arange(200) % 4]
    wrong, spoilt = script.spoil(targets, 0.1, 0)
    changed = np.flatnonzero((spoilt != targets).any(axis=1))
    assert sorted(wrong.tolist()) == changed.tolist()
    assert len(changed) == 20
    assert (spoilt.sum(axis=1) == 1).all()
    assert (script.spoil(targets, 0.1, 1)[1] != spoilt).any()


@pytest.mark.slow
def test_labels_made_wrong_are_among_the_first(script: Any, shared: Path, tmp_path: Path) -> None:
    sets = importlib.import_module("sets")
    data = sets.load_set("flowers5", shared / "data", seed=0)
    features = script.read_features(data, "efficientnet_lite0", tmp_path / "features.npz")
    for seed in (0, 1, 2):
        found = script.measure(data, features, 0.03, seed)
        assert found["found"] >= 0.85
        assert found["confident_made"] >= 0.6 * found["confident"]
    shuffled = np.random.default_rng(0).permutation(features)
    assert script.measure(data, shuffled, 0.03, 0)["found"] <= 0.15
