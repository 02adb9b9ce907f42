"""Closed-form classifiers and pseudo-labels, where they must help and where they must not hurt."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from tfxfer.adaptation.linear_head import fit_coral, fit_linear_head, fit_self_training
from tfxfer.adaptation.ridge import Ridge, apply_softmax
from tfxfer.adaptation.self_training import (
    answer_from_source,
    label_target,
    prepare_looks,
    weigh_classes,
)
from tfxfer.errors import DataError

CLASSES, FEATURES = 4, 24


def draw_look(
    counts: tuple[int, ...], *, seed: int, gap: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns clusters of features above 0; a gap moves each class its own way, and all of them."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    centres = 4 * np.eye(FEATURES)[:CLASSES]
    moves = fixed.normal(size=(CLASSES, FEATURES)) + 1.2 * fixed.normal(size=FEATURES)
    numbers = np.repeat(np.arange(CLASSES), counts)
    features = (centres + gap * moves)[numbers] + rng.normal(size=(len(numbers), FEATURES))
    return features + 6, numbers


def share_right(answers: np.ndarray, numbers: np.ndarray) -> float:
    return float((answers.argmax(axis=1) == numbers).mean())


def test_ridge_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(30, 5)), rng.random(30) + 0.1
    labels = rng.dirichlet(np.ones(3), 30)
    scale = (features**2).sum(axis=1).mean()
    reference = Reference(alpha=2 * scale, fit_intercept=False)
    reference.fit(features, labels - 1 / 3, sample_weight=weights)
    found = Ridge.of(features, weights, penalty=2.0).fit(labels)
    assert found == pytest.approx(reference.coef_.T)
    assert np.abs(Ridge.of(features, weights, penalty=1.0).fit(labels) - found).max() > 1e-3


def test_features_that_do_not_differ_teach_nothing() -> None:
    with pytest.raises(DataError, match="Is every sample the same"):
        Ridge.of(np.zeros((4, 3)), np.ones(4), penalty=1.0)


def test_each_class_weighs_the_same() -> None:
    weights = weigh_classes(np.eye(3)[[0, 0, 0, 1]])
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])  # nothing of the third


def test_prepared_looks_are_centred_and_a_sample_of_zeros_stays_finite() -> None:
    source, target = prepare_looks(np.array([[3.0, 4], [0, 0]]), np.array([[0.0, 2], [5, 0]]))
    assert source == pytest.approx(np.array([[0.3, 0.4], [-0.3, -0.4]]))
    assert target == pytest.approx(np.array([[-0.5, 0.5], [0.5, -0.5]]))


@pytest.mark.parametrize("counts", [(60, 60, 60, 60), (100, 60, 25, 8)])
def test_pseudo_labels_follow_clusters_and_shares_that_nobody_told(
    counts: tuple[int, ...],
) -> None:
    features, numbers = draw_look((60,) * CLASSES, seed=0)
    other, truth = draw_look(counts, seed=1, gap=1.1)
    source, target = prepare_looks(features, other)
    classes = np.eye(CLASSES)[numbers]
    before = share_right(answer_from_source(source, classes, target), truth)
    found = label_target(source, classes, target)
    after = share_right(found.labels, truth)
    assert before < 0.93
    assert after > before + 0.05
    assert np.abs(found.shares - np.array(counts) / sum(counts)).max() < 0.06


def test_without_a_gap_nothing_is_lost() -> None:
    features, numbers = draw_look((60,) * CLASSES, seed=0)
    classes = np.eye(CLASSES)[numbers]
    uneven, even = (80, 60, 40, 20), (50,) * CLASSES
    # CORAL takes the mean of the target for its look's alone, and so for that of even shares.
    for fit, counts in ((fit_self_training, uneven), (fit_self_training, even), (fit_coral, even)):
        other, truth = draw_look(counts, seed=1)
        source, target = prepare_looks(features, other)
        before = share_right(answer_from_source(source, classes, target), truth)
        after = share_right(fit(features, classes, other).score(other), truth)
        assert after > before - 0.02, fit


def test_self_training_keeps_the_labelled_look() -> None:
    features, numbers = draw_look((60,) * CLASSES, seed=0)
    other, truth = draw_look((60,) * CLASSES, seed=1, gap=1.1)
    classes = np.eye(CLASSES)[numbers]
    head = fit_linear_head("self_training", features, classes, other)
    assert head.kernel.shape == (FEATURES, CLASSES)
    assert share_right(head.score(features), numbers) > 0.97
    assert share_right(head.score(other), truth) > 0.95


def test_coral_undoes_a_linear_change_of_the_look() -> None:
    features, numbers = draw_look((80,) * CLASSES, seed=0)
    other, truth = draw_look((80,) * CLASSES, seed=1)
    scales = np.linspace(0.3, 3, FEATURES)
    other = other * scales + 5
    classes = np.eye(CLASSES)[numbers]
    weights = len(features) * weigh_classes(classes)
    plain = Ridge.of(features - features.mean(axis=0), weights, penalty=3.0).fit(classes)
    before = share_right(apply_softmax((other - features.mean(axis=0)) @ plain), truth)
    after = share_right(fit_linear_head("coral", features, classes, other).score(other), truth)
    assert before < 0.8
    assert after > 0.93


def test_confidence_is_that_of_the_labels_it_was_fitted_to() -> None:
    features, numbers = draw_look((60,) * CLASSES, seed=0)
    other, _ = draw_look((60,) * CLASSES, seed=1)
    classes = np.eye(CLASSES)[numbers]
    head = fit_linear_head("self_training", features, classes, other)
    scores = head.score(features)
    # Least squares alone would say a bare 1/4 and a little more.
    assert scores.max(axis=1).mean() == pytest.approx(share_right(scores, numbers), abs=0.08)
