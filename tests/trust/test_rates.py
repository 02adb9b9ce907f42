"""What a sample is and was taken for is the head's word, whatever its task."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.evaluation.intervals import wilson
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
    # 24 of 30 and 10 of 10; variance .8 * .2 / 30 / 4.
    assert figure["value"] == pytest.approx(0.9)
    worth = 0.9 * 0.1 / (0.8 * 0.2 / 30 / 4)
    assert figure == pytest.approx(wilson(0.9 * worth, worth))
    perfect = mean_recall(Decisions(("a", "b"), true, true))
    assert perfect == pytest.approx(wilson(30, 30))  # 2² / (1/30 + 1/10) = 30
    assert mean_recall(Decisions(("a",), true[:, :1] & False, found[:, :1])) is None
