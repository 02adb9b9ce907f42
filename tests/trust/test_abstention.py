"""Abstention: shares by hand, and heads whose score is no confidence."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer import DataError, UsageError
from tfxfer.evaluation.intervals import wilson
from tfxfer.trust.abstention import (
    check_min_score,
    find_confidence,
    is_sure,
    list_abstentions,
    measure_abstention,
)
from tfxfer_heads import Classification, Multilabel, Regression

CONFIDENCE = np.array([0.3, 0.6, 0.6, 0.9, 0.95])
RIGHT = np.array([False, True, False, True, True])


def test_shares_by_hand() -> None:
    found = measure_abstention(CONFIDENCE, RIGHT, 0.6)
    assert found.answered == 4
    assert found.coverage.value == 0.8
    assert found.accuracy is not None
    assert found.accuracy.value == 0.75
    expected = wilson(3, 4)
    assert (found.accuracy.low, found.accuracy.high) == (expected["low"], expected["high"])
    # A score as high as the lowest is enough, one just below is not.
    assert is_sure(CONFIDENCE, 0.6).tolist() == [False, True, True, True, True]
    assert measure_abstention(CONFIDENCE, RIGHT, 0.6001).answered == 2


def test_where_nothing_is_answered_there_is_no_accuracy() -> None:
    found = measure_abstention(CONFIDENCE, RIGHT, 0.99)
    assert (found.answered, found.coverage.value, found.accuracy) == (0, 0.0, None)
    assert found.to_dict()["accuracy"] is None
    assert found.cells()[2] == "none answered"
    assert "right" not in found.describe()


def test_a_table_has_a_row_where_something_changes() -> None:
    found = list_abstentions(CONFIDENCE, RIGHT)
    assert [(each.min_score, each.answered) for each in found] == [
        (0.0, 5),
        (0.5, 4),
        (0.7, 2),
        (0.95, 1),
        (0.99, 0),
    ]


def test_of_a_head_the_score_and_whether_it_is_right() -> None:
    scores = np.array([[0.7, 0.3], [0.4, 0.6]])
    found = find_confidence(Classification(), np.eye(2)[[0, 0]], scores, ["a", "b"])
    assert found is not None
    assert found[0].tolist() == [0.7, 0.6]
    assert found[1].tolist() == [True, False]
    # Of several labels the weakest part of the answer counts, and all of them must be right.
    found = find_confidence(Multilabel(), np.array([[1, 1], [0, 1]]), scores, ["a", "b"])
    assert found is not None
    assert found[0].tolist() == [0.7, 0.6]
    assert found[1].tolist() == [False, True]


def test_a_number_is_no_confidence() -> None:
    check_min_score(Classification())
    check_min_score(Multilabel())
    assert find_confidence(Regression(), np.ones((2, 1)), np.ones((2, 1)), ["value"]) is None
    with pytest.raises(UsageError, match=r"right or wrong, .* Received: head='regression'"):
        check_min_score(Regression())
    with pytest.raises(DataError, match=r"confidence=\(0,\)"):
        measure_abstention(np.array([]), np.array([]), 0.5)
