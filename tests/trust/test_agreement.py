"""How alike two maps are, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfxfer.errors import DataError
from tfxfer.trust.agreement import Agreement, compare_maps, rank_correlation, top_overlap


def test_ranks_by_hand() -> None:
    # Ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 * 4 / (5 * 24).
    assert rank_correlation(np.array([1, 2, 3, 4, 9]), np.array([2, 0, 7, 3, 8])) == pytest.approx(
        0.8
    )


def test_ranks_of_equal_values_are_shared() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (2, 8, 8))
    expected = spearmanr(one.ravel(), other.ravel()).statistic
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-12)


def test_overlap_by_hand() -> None:
    one = np.arange(10.0)
    assert top_overlap(one, one) == 1
    assert top_overlap(one, -one) == 0
    # The two warmest are 9, 8 and 9, 7.
    assert top_overlap(one, np.array([0, 0, 0, 0, 0, 0, 0, 5.0, 1, 6])) == pytest.approx(0.5)


def test_equal_values_at_the_edge_count_in_part() -> None:
    flat = np.array([1.0] + [0] * 9)
    # Of two places one is the warm one and the other is any of nine.
    assert top_overlap(flat, flat) == pytest.approx(1)
    mirrored = top_overlap(flat, flat[::-1])
    assert mirrored == pytest.approx((1 / 9 + 1 / 9 + 8 / 9) / 2)


def test_chance_has_the_share_itself_in_common() -> None:
    rng = np.random.default_rng(0)
    found = [top_overlap(*rng.random((2, 30, 30))) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.2, abs=0.01)


def test_in_words() -> None:
    rng = np.random.default_rng(0)
    one = np.add.outer(np.arange(20.0), np.arange(20.0))
    near = compare_maps(one, one + rng.normal(0, 2, one.shape))
    assert near.describe().startswith("the same place")
    assert near.to_dict()["verdict"] == "same"
    assert compare_maps(one, one + rng.normal(0, 9, one.shape)).describe().startswith("partly")
    assert compare_maps(one, -one).describe().startswith("another place")
    assert compare_maps(one, rng.random(one.shape)).describe().startswith("another place")


def test_a_map_without_differences_agrees_with_none() -> None:
    found = compare_maps(np.zeros((3, 3)), np.arange(9.0).reshape(3, 3))
    assert found == Agreement(None, None)
    assert found.verdict is None
    assert found.describe().startswith("no place more than another")
    with pytest.raises(DataError, match=r"\(2, 2\) and \(3, 3\)"):
        compare_maps(np.zeros((2, 2)), np.zeros((3, 3)))
