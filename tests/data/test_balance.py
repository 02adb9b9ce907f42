from __future__ import annotations

import numpy as np
import pytest

from tfxfer.data.balance import class_weights, oversampled_order, sample_weights
from tfxfer.errors import UsageError


def one_hot(*counts: int) -> np.ndarray:
    return np.eye(len(counts), dtype=np.float32)[np.repeat(np.arange(len(counts)), counts)]


def is_even(totals: np.ndarray, tolerance: float) -> bool:
    return bool(totals.max() - totals.min() <= tolerance * totals.mean())


def test_weights_give_every_class_the_same_say() -> None:
    targets = one_hot(90, 9, 1)
    weights = class_weights(targets)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, abs=1e-6)
    assert is_even(weights @ targets, 1e-5)
    assert not is_even(np.ones(100) @ targets, 1e-5)


def test_weights_of_several_labels_and_of_none() -> None:
    targets = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], np.float32)
    weights = class_weights(targets)
    assert weights[0] > weights[1] == weights[2]
    assert weights[3] == weights.max()


def test_absent_classes_do_not_matter() -> None:
    assert np.isfinite(class_weights(one_hot(3, 0, 5))).all()


def test_oversampling_draws_every_class_as_often() -> None:
    targets = one_hot(70, 20, 10)
    order = oversampled_order(targets, np.random.default_rng(0))
    assert len(order) == 100
    drawn = targets[order].sum(axis=0)
    assert is_even(drawn, 0.04)
    assert not is_even(targets.sum(axis=0), 0.04)
    # All of a rare class come before any comes again.
    rare = np.bincount(order, minlength=100)[90:]
    assert rare.max() - rare.min() <= 1
    again = oversampled_order(targets, np.random.default_rng(0))
    assert np.array_equal(order, again)
    assert not np.array_equal(order, oversampled_order(targets, np.random.default_rng(1)))


def test_modes() -> None:
    targets = one_hot(3, 1)
    assert sample_weights(targets, "none") is None
    assert sample_weights(targets, "oversample") is None
    assert sample_weights(targets, "weights") is not None
    with pytest.raises(UsageError, match="weighted"):
        sample_weights(targets, "weighted")


def test_numbers_have_no_classes() -> None:
    with pytest.raises(UsageError, match="Numbers have no classes"):
        class_weights(np.array([[0.3], [2.0]], np.float32))
