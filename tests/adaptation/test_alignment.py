"""The map from one look to another, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.adaptation.alignment import align_covariance
from tfxfer.errors import DataError


def draw(samples: int, *, seed: int, features: int = 4, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, features)) @ rng.normal(size=(features, features)) + shift


def test_aligned_features_have_the_mean_and_the_covariance_of_the_target() -> None:
    source, target = draw(300, seed=0), draw(200, seed=1, shift=3.0)
    moved = align_covariance(source, target, shrinkage=0.0).apply(source)
    assert moved.mean(axis=0) == pytest.approx(target.mean(axis=0))
    assert np.cov(moved, rowvar=False) == pytest.approx(np.cov(target, rowvar=False))
    off = np.abs(np.cov(source, rowvar=False) - np.cov(target, rowvar=False))
    assert off.max() > 0.1


def test_alignment_of_known_covariances() -> None:
    # Standard deviations 1 and 2 become 3 and 1: each axis is multiplied by their ratio.
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    found = align_covariance(corners * [1, 2], corners * [3, 1], shrinkage=0.0)
    assert found.matrix == pytest.approx(np.diag([3, 0.5]))
    # Shrunk by a half: variances 1 and 4 (mean 2.5) to 1.75 and 3.25; 9 and 1 (5) to 7 and 3.
    found = align_covariance(corners * [1, 2], corners * [3, 1], shrinkage=0.5)
    assert found.matrix == pytest.approx(np.diag([(7 / 1.75) ** 0.5, (3 / 3.25) ** 0.5]))


def test_few_samples_need_shrinkage() -> None:
    few, target = draw(5, seed=0, features=9), draw(30, seed=1, features=9)
    assert np.isfinite(align_covariance(few, target).matrix).all()
    with pytest.raises(DataError, match="shrinkage above 0"):
        align_covariance(few, target, shrinkage=0.0)


@pytest.mark.parametrize("other", [np.zeros((1, 4)), np.zeros((9, 3)), np.zeros(9)])
def test_looks_that_cannot_be_compared_are_refused(other: np.ndarray) -> None:
    with pytest.raises(DataError, match="two samples or more"):
        align_covariance(np.ones((9, 4)), other)
