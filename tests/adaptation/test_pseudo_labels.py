"""Which pseudo-labels are learnt."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.adaptation.pseudo_labels import SURE_SHARE, choose_lessons


def test_the_surest_of_each_class_are_learnt_and_the_right_ones_are_among_them() -> None:
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(3), 40)
    source = 4 * np.eye(12)[numbers] + rng.normal(size=(120, 12))
    # The second class is rare in the target, and all of it is moved and noisy.
    kept = np.concatenate([np.arange(40), np.arange(40, 52), np.arange(80, 120)])
    target = (4 * np.eye(12)[numbers] + 1.6 * rng.normal(size=(120, 12)))[kept] + 2
    labels, weights = choose_lessons(source, np.eye(3)[numbers], target)
    found, truth = labels.argmax(axis=1), numbers[kept]
    assert labels.sum(axis=1) == pytest.approx(np.ones(len(kept)))
    assert set(weights.tolist()) == {0.0, 1.0}
    for number in range(3):
        rows = found == number
        assert weights[rows].sum() == max(1, round(SURE_SHARE * rows.sum()))
        sureness = labels[rows].max(axis=1)
        assert sureness[weights[rows] == 1].min() >= sureness[weights[rows] == 0].max()
    right = found == truth
    assert right[weights == 1].mean() > right.mean()
