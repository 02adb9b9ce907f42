"""Reliability diagrams: by hand, and their noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfxfer import DataError, UsageError
from tfxfer.evaluation import ClassFigures
from tfxfer.trust.reliability import (
    measure_calibration_error,
    measure_reliability,
    read_confidence,
)


def draw(count: int, *, boast: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns confidence 0.5..1, and answers that are right so much less often."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1, count)
    return confidence, rng.random(count) < confidence - boast


def test_bins_of_equal_width_by_hand() -> None:
    found = measure_reliability(
        np.array([0.21, 0.25, 0.3, 0.9]), np.array([False, True, True, False])
    ).bins
    assert [each.samples for each in found] == [2, 1, 1]
    assert [each.low for each in found] == pytest.approx([3 / 15, 4 / 15, 13 / 15])
    assert [each.high for each in found] == pytest.approx([4 / 15, 5 / 15, 14 / 15])
    assert [each.confidence for each in found] == pytest.approx([0.23, 0.3, 0.9])
    assert [each.right.value for each in found] == [0.5, 1.0, 0.0]
    assert found[1].right.low == pytest.approx(0.2065, abs=1e-4)  # Wilson: 1 / (1 + z²)


def test_bins_of_equal_mass_hold_as_many_and_keep_equals_together() -> None:
    confidence = np.arange(1, 101) / 100
    found = measure_reliability(confidence, confidence > 0.5, equal="mass").bins
    assert [each.samples for each in found] == [10] * 10  # of 15 bins each would hold 6
    assert [each.high for each in found] == pytest.approx(np.arange(1, 11) / 10)
    same = measure_reliability(np.full(50, 0.7), np.ones(50), equal="mass").bins
    assert [each.samples for each in same] == [50]
    assert len(measure_reliability(*draw(47, boast=0), equal="mass").bins) == 4
    assert len(measure_reliability(*draw(900, boast=0), equal="mass").bins) == 15
    with pytest.raises(UsageError, match="width, mass as equal"):
        measure_reliability(confidence, confidence > 0.5, equal="weight")  # type: ignore[arg-type]


def test_the_error_is_that_of_the_evaluation_and_of_the_bins() -> None:
    rng = np.random.default_rng(3)
    scores = rng.dirichlet([1, 1, 1], 200)
    targets = np.eye(3)[rng.integers(0, 3, 200)]
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == targets.argmax(axis=1)
    figures = ClassFigures(targets, scores, ["a", "b", "c"])
    expected = figures.sums(np.ones((1, 200)))["calibration_error"][0]
    assert measure_calibration_error(confidence, right).value == pytest.approx(expected)
    for equal in ("width", "mass"):
        found = measure_reliability(confidence, right, equal=equal)  # type: ignore[arg-type]
        by_bins = sum(b.samples * abs(b.right.value - b.confidence) for b in found.bins) / 200
        assert found.error.value == pytest.approx(by_bins)


def test_noise_is_told_from_error() -> None:
    # A calibrated model shows an error on few answers, and as much as is said.
    found = [measure_reliability(*draw(60, boast=0, seed=seed)) for seed in range(20)]
    errors = [each.error.value for each in found]
    assert min(errors) > 0.05
    assert found[0].noise == pytest.approx(np.mean(errors), abs=0.02)
    assert sum("may be noise" in each.note for each in found) >= 18  # of 20 at 95 %
    boastful = measure_reliability(*draw(600, boast=0.2))
    assert boastful.error.value == pytest.approx(0.2, abs=0.04)
    assert boastful.error.low > boastful.noise
    assert "may be noise" not in boastful.note


def test_stored_answers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    head = "path,split,truth,label,score,right\n"
    path.write_text(head + "a,test,x,x,0.9,true\nb,val,x,y,0.8,false\nc,test,x,y,0.6,false\n")
    found = read_confidence(path)
    assert found is not None
    assert found[0].tolist() == [0.9, 0.6]
    assert found[1].tolist() == [True, False]
    assert read_confidence(path, split="train") is None
    path.write_text(head + "a,test,3,4,4.0,\n")
    assert read_confidence(path) is None
    path.write_text(head + "a,test,x,x,much,true\n")
    with pytest.raises(DataError, match="expected a number as score"):
        read_confidence(path)


def test_logits_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected confidence 0..1. Received: 0.5 to 3"):
        measure_reliability(np.array([0.5, 3.0]), np.array([1, 0]))
    with pytest.raises(DataError, match=r"confidence=\(0,\)"):
        measure_reliability(np.array([]), np.array([]))
