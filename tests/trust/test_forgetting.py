"""What a training has forgotten: the record of both models on the earlier test samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.trust.forgetting import Forgetting, measure_forgetting
from tfxfer_heads import Classification

LABELS = ("a", "b", "c")


def measure(before: np.ndarray, after: np.ndarray, targets: np.ndarray, **options: Any) -> Any:
    return measure_forgetting(
        targets, before, after, head=Classification(), labels=LABELS, known=2, run="earlier",
        keep="distill", replay=0, **{"missing": 0, **options},
    )  # fmt: skip


def test_what_new_labels_took_is_lost_label_by_label(tmp_path: Path) -> None:
    numbers = np.repeat([0, 1], 20)
    targets = np.eye(3, dtype=np.float32)[numbers]
    before, after = targets.copy(), targets.copy()
    before[:2] = [0, 1, 0]  # two of a were never found
    after[:2] = [0, 1, 0]
    after[2:7] = [0.1, 0.1, 0.8]  # five more of a are taken for the new label
    found = measure(before, after, targets, missing=3)
    assert (found.samples, found.missing, found.new_labels) == (40, 3, ("c",))
    assert found.metric == "accuracy"
    assert found.before.value == pytest.approx(38 / 40)
    assert found.after.value == pytest.approx(33 / 40)
    assert found.lost.value == pytest.approx(100 * 5 / 40)
    assert found.lost.low > 0
    rows = {row.label: (row.samples, row.before.value, row.after.value) for row in found.labels}
    assert rows == {"a": (20, 18 / 20, 13 / 20), "b": (20, 1.0, 1.0)}
    lines = found.describe()
    assert "accuracy 0.95 → 0.825" in lines[0]
    assert "3 of its test samples are gone" in lines[0]
    assert "90.0% →  65.0% of 20" in lines[1]
    found.write(tmp_path / "trust")
    assert Forgetting.read(tmp_path / "trust") == found


def test_equal_answers_lose_nothing() -> None:
    targets = np.eye(3, dtype=np.float32)[np.repeat([0, 1], 5)]
    assert measure(targets, targets, targets).lost.value == 0


def test_without_samples_nobody_knows() -> None:
    nothing = np.zeros((0, 3), np.float32)
    found = measure(nothing, nothing, nothing, missing=9)
    assert (found.before, found.after, found.lost) == (None, None, None)
    assert found.describe() == [
        "forgotten of earlier: nobody knows, since 9 of its test samples are gone or have changed"
    ]
