"""What a sample is and was taken for is the head's word, whatever its task."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.evaluation.intervals import Z, wilson
from tfxfer.trust.rates import Decisions, find_decisions, mean_recall
from tfxfer_heads import Classification, Multilabel, Regression


def test_classes() -> None:
    targets = np.eye(3)[[0, 1, 2, 2]]
    scores = np.eye(3)[[0, 2, 2, 0]] * 0.7 + 0.1
    found, reason = find_decisions(Classification(), targets, scores, ("a", "b", "c"))
    assert reason == ""
    assert found is not None
    assert found.labels == ("a", "b", "c")
    assert found.true.argmax(axis=1).tolist() == [0, 1, 2, 2]
    assert found.found.argmax(axis=1).tolist() == [0, 2, 2, 0]
    assert found.recalls() == {"a": wilson(1, 1), "b": wilson(0, 1), "c": wilson(1, 2)}


def test_a_threshold_is_the_heads_own() -> None:
    targets, scores = np.array([[1.0, 0], [0, 0]]), np.array([[0.5, 0.2], [0.5, 0.65]])
    for threshold, expected in ((0.4, [[1, 0], [1, 1]]), (0.6, [[0, 0], [0, 1]])):
        head = Multilabel(threshold=threshold)
        found, _ = find_decisions(head, targets, scores, ("a", "b"))
        assert found is not None
        assert found.found.astype(int).tolist() == expected


def test_numbers_are_in_no_groups() -> None:
    found, reason = find_decisions(Regression(), np.ones((2, 1)), np.ones((2, 1)), ("value",))
    assert found is None
    assert "in no groups" in reason


def test_mean_recall() -> None:
    true = np.array([[1, 0]] * 30 + [[0, 1]] * 10, bool)
    found = true.copy()
    found[:6] = ~found[:6]
    figure = mean_recall(Decisions(("a", "b"), true, found))
    assert figure is not None
    # 24 of 30 and 10 of 10, whose interval ends at 10 / (10 + z²).
    assert figure["value"] == pytest.approx(0.9)
    first, second = wilson(24, 30), Z * Z / (10 + Z * Z)
    below, above = np.hypot(0.8 - first["low"], second) / 2, (first["high"] - 0.8) / 2
    assert figure["low"] == pytest.approx(0.9 - below)
    assert figure["high"] == pytest.approx(0.9 + above)
    # Of one label it is that label's own.
    alone = mean_recall(Decisions(("a",), true[:, :1], found[:, :1]))
    assert alone == pytest.approx(wilson(24, 30))
    assert mean_recall(Decisions(("a",), true[:, :1] & False, found[:, :1])) is None


def test_a_label_that_is_perfect_on_one_sample_is_not_known_to_be() -> None:
    true = np.array([[1, 0]] * 500 + [[0, 1]], bool)
    found = true.copy()
    found[0] = [False, True]
    figure = mean_recall(Decisions(("a", "b"), true, found))
    assert figure is not None
    assert figure["value"] == pytest.approx((499 / 500 + 1) / 2)
    # Of 1 in 1 Wilson's interval begins at 1 / (1 + z²) = .2065; half of that distance is .3967.
    assert figure["low"] == pytest.approx(0.999 - 0.3967, abs=1e-3)
    assert figure["high"] <= 1
