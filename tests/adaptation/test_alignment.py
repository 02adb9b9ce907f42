"""Distances between looks and the map from one to the other, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.adaptation.alignment import (
    align_covariance,
    measure_covariance_gap,
    measure_mean_discrepancy,
)
from tfxfer.errors import DataError


def draw(samples: int, *, seed: int, features: int = 4, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, features)) @ rng.normal(size=(features, features)) + shift


def test_aligned_features_have_the_mean_and_the_covariance_of_the_target() -> None:
    source, target = draw(300, seed=0), draw(200, seed=1, shift=3.0)
    moved = align_covariance(source, target, shrinkage=0.0).apply(source)
    assert moved.mean(axis=0) == pytest.approx(target.mean(axis=0))
    assert np.cov(moved, rowvar=False) == pytest.approx(np.cov(target, rowvar=False))
    assert measure_covariance_gap(moved, target) == pytest.approx(0, abs=1e-20)
    assert measure_covariance_gap(source, target) > 0.01


def test_alignment_of_known_covariances() -> None:
    # Standard deviations 1 and 2 become 3 and 1: each axis is multiplied by their ratio.
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    found = align_covariance(corners * [1, 2], corners * [3, 1], shrinkage=0.0)
    assert found.matrix == pytest.approx(np.diag([3, 0.5]))
    # Shrunk by a half: variances 1 and 4 (mean 2.5) to 1.75 and 3.25; 9 and 1 (5) to 7 and 3.
    found = align_covariance(corners * [1, 2], corners * [3, 1], shrinkage=0.5)
    assert found.matrix == pytest.approx(np.diag([(7 / 1.75) ** 0.5, (3 / 3.25) ** 0.5]))


def test_covariance_gap_by_hand() -> None:
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    # Covariances 4/3 and 16/3 times the identity: two entries differ by 4; 4 d² = 16.
    assert measure_covariance_gap(corners, 2 * corners) == pytest.approx(2 * 16 / 16)


def test_few_samples_need_shrinkage() -> None:
    few, target = draw(5, seed=0, features=9), draw(30, seed=1, features=9)
    assert np.isfinite(align_covariance(few, target).matrix).all()
    with pytest.raises(DataError, match="shrinkage above 0"):
        align_covariance(few, target, shrinkage=0.0)


def test_discrepancy_of_two_gaussians_is_their_closed_form() -> None:
    # Of N(0, 1) and N(m, 1) under a kernel of width w: w / sqrt(w² + 2), twice, less the same
    # times exp(-m² / (2 (w² + 2))), twice.
    rng, width, shift = np.random.default_rng(0), 1.5, 1.0
    first, second = rng.normal(size=(2, 2500, 1))
    peak = width / (width**2 + 2) ** 0.5
    expected = 2 * peak * (1 - np.exp(-(shift**2) / (2 * (width**2 + 2))))
    found = measure_mean_discrepancy(first, second + shift, width=width)
    assert found == pytest.approx(expected, rel=0.1)
    assert measure_mean_discrepancy(first, second, width=width) == pytest.approx(0, abs=2e-3)
    assert measure_mean_discrepancy(first, second + 0.8, width=width) < 0.9 * expected


def test_discrepancy_of_four_points_by_hand() -> None:
    first, second = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    k = [float(np.exp(-(d**2) / 2)) for d in range(3)]
    # Pairs within: of distance 1, and of 2; across: 0, 2, 1 and 1.
    expected = k[1] + k[2] - 2 * (k[0] + k[2] + 2 * k[1]) / 4
    assert measure_mean_discrepancy(first, second, width=1.0) == pytest.approx(expected)


@pytest.mark.parametrize("other", [np.zeros((1, 4)), np.zeros((9, 3)), np.zeros(9)])
def test_looks_that_cannot_be_compared_are_refused(other: np.ndarray) -> None:
    for measure in (align_covariance, measure_covariance_gap):
        with pytest.raises(DataError, match="two samples or more"):
            measure(np.ones((9, 4)), other)
