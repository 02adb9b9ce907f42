"""Balanced labels, against a hand computation and what defines them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer.adaptation.transport import balance_labels
from tfxfer.errors import DataError


def test_two_samples_by_hand() -> None:
    # Odds 9 and 1.5 have the ratio 6, which no scaling changes: p / (1 - p) is its root.
    found = balance_labels(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0.5, 0.5]))
    odds = 6**0.5
    expected = odds / (1 + odds)
    assert found == pytest.approx(np.array([[expected, 1 - expected], [1 - expected, expected]]))


def test_answers_with_the_shares_already_stay() -> None:
    answers = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]])
    assert balance_labels(answers, answers.mean(axis=0)) == pytest.approx(answers)
    other = balance_labels(answers, np.array([0.6, 0.4]))
    assert np.abs(other - answers).max() > 0.1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_rows_and_columns_sum_to_what_is_asked(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    answers, shares = rng.dirichlet(np.ones(classes), 40), rng.dirichlet(5 * np.ones(classes))
    found = balance_labels(answers, shares)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.mean(axis=0) == pytest.approx(shares, abs=1e-3)
    assert answers.mean(axis=0) != pytest.approx(shares, abs=1e-3)


@pytest.mark.parametrize("shares", [[0.5, 0.6], [1.5, -0.5], [1.0], [np.nan, 1.0]])
def test_shares_that_are_none_are_refused(shares: list[float]) -> None:
    with pytest.raises(DataError, match="1 in all"):
        balance_labels(np.full((3, 2), 0.5), np.array(shares))
