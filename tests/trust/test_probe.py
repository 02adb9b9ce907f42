"""A linear probe and its answers out of fold, against scikit-learn, closed forms and chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tfxfer.errors import DataError, UsageError
from tfxfer.trust.probe import draw_folds, fit_probe, predict_out_of_fold


def draw_clouds(
    *, samples: int = 300, classes: int = 3, distance: float = 4.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns features (samples, 8) about one centre for each class, and the classes."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(samples) % classes
    centres = distance * np.eye(8)[:classes]
    return (centres[numbers] + rng.normal(size=(samples, 8))).astype(np.float32), numbers


def test_probe_is_scikit_learns_logistic_regression_on_scaled_features() -> None:
    features, classes = draw_clouds()
    scaled = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    scaled /= np.sqrt((scaled**2).sum(axis=1).mean())
    reference = LogisticRegression(C=2.0, tol=1e-8, max_iter=2000).fit(scaled, classes)
    expected = reference.predict_proba(scaled)
    # The probe stops where its gradient is small, which comes before it is nothing.
    found = fit_probe(features, classes, strength=2.0).predict(features)
    assert np.abs(found - expected).mean() < 0.003
    other = fit_probe(features, classes, strength=8.0).predict(features)
    assert np.abs(other - expected).mean() > 0.006


def test_probe_of_two_points_is_symmetric() -> None:
    # One sample of each class at -1 and 1: by symmetry the bias is 0, and the weight w of the one
    # feature solves w = C * 2 / (1 + exp(w)).
    features, classes = np.array([[-3.0], [5.0]]), np.array([0, 1])
    probe = fit_probe(features, classes)
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < 2 / (1 + np.exp(middle)) else (low, middle)
    expected = 1 / (1 + np.exp(-low))
    assert probe.predict(features)[:, 1] == pytest.approx([1 - expected, expected], abs=0.005)
    assert probe.predict(np.array([[1.0]])) == pytest.approx(np.array([[0.5, 0.5]]), abs=0.005)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_without_samples_is_never_the_answer(classes: int) -> None:
    features, numbers = draw_clouds(classes=classes)
    # Its number lies between those of the others.
    found = fit_probe(features, numbers + (numbers > 0), class_count=classes + 2).predict(features)
    assert found.shape == (300, classes + 2)
    assert (found[:, [1, classes + 1]] == 0).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(300))
    assert (found.argmax(axis=1) == numbers + (numbers > 0)).mean() > 0.9


def test_no_sample_is_answered_by_a_probe_that_saw_it() -> None:
    # Random classes: a probe that has seen them is right far more often than chance.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 400))
    classes = rng.integers(0, 2, 200)
    seen = fit_probe(features, classes, strength=100.0).predict(features)
    assert (seen.argmax(axis=1) == classes).mean() > 0.95
    unseen = predict_out_of_fold(features, classes, seed=0, strength=100.0)
    assert 0.35 < (unseen.argmax(axis=1) == classes).mean() < 0.65


def test_copies_with_one_group_do_not_give_themselves_away() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(100, 300)), 2, axis=0)
    classes = np.repeat(rng.integers(0, 2, 100), 2)
    groups = np.repeat(np.arange(100), 2).tolist()
    kept = predict_out_of_fold(features, classes, seed=0, strength=100.0, groups=groups)
    parted = predict_out_of_fold(features, classes, seed=0, strength=100.0)
    assert 0.3 < (kept.argmax(axis=1) == classes).mean() < 0.7
    assert (parted.argmax(axis=1) == classes).mean() > 0.8


def test_answers_repeat_with_their_seed() -> None:
    features, classes = draw_clouds()
    first, again, other = (predict_out_of_fold(features, classes, seed=s) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_in_a_single_fold_is_not_judged() -> None:
    features, classes = draw_clouds(samples=60)
    features = np.vstack([features, -9 * np.eye(8, dtype=np.float32)[[5, 6, 6]]])
    classes = np.append(classes, [3, 4, 4])
    found = predict_out_of_fold(features, classes, seed=0)
    assert np.isnan(found[60]).all()
    assert np.isfinite(found[:60]).all()
    # Two samples of a class: each is known by the other.
    assert (found[61:].argmax(axis=1) == 4).all()
    assert found[:60].sum(axis=1) == pytest.approx(np.ones(60))


@settings(max_examples=40, deadline=None)
@given(
    classes=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    size=st.integers(1, 4),
    folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_folds_keep_groups_whole_and_classes_even(
    classes: list[int], size: int, folds: int, seed: int
) -> None:
    numbers = np.repeat(classes, size)
    groups = np.repeat(np.arange(len(classes)), size)
    parts = draw_folds(numbers, folds=folds, seed=seed, groups=groups.tolist())
    assert parts.shape == numbers.shape
    assert parts.min() >= 0
    assert parts.max() < folds
    of_group = parts.reshape(-1, size)
    assert (of_group == of_group[:, :1]).all()
    for number in np.unique(numbers):
        counts = np.bincount(of_group[np.array(classes) == number, 0], minlength=folds)
        assert counts.max() - counts.min() <= 1


NAN = np.full((4, 2), np.nan)
GOOD, CLASSES = np.zeros((4, 2)), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("features", "classes", "options", "words"),
    [
        (NAN, CLASSES, {}, "finite features"),
        (GOOD[0], CLASSES, {}, r"\(samples, features\)"),
        (GOOD.astype(int), CLASSES, {}, "as floats"),
        (GOOD, CLASSES[:3], {}, "one class number for each of 4"),
        (GOOD, CLASSES.astype(float), {}, "one class number"),
        (GOOD, CLASSES - 1, {}, "from 0 to 0"),
        (GOOD, CLASSES, {"class_count": 1}, "from 0 to 0"),
        (GOOD, CLASSES * 0, {}, "two classes"),
        (GOOD[:0], CLASSES[:0], {}, "one class number"),
    ],
)
def test_what_is_no_sample_of_classes_is_refused(
    features: Any, classes: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        fit_probe(features, classes, **options)
    with pytest.raises(DataError, match=words):
        predict_out_of_fold(features, classes, seed=0, **options)


def test_two_classes_that_lie_in_one_fold_each_are_refused() -> None:
    with pytest.raises(DataError, match="two groups of samples each"):
        predict_out_of_fold(GOOD, CLASSES, seed=0, groups=["a", "a", "b", "b"])


@pytest.mark.parametrize("strength", [0, -1.0, float("nan"), float("inf"), "1", True])
def test_a_strength_that_is_none_is_refused(strength: Any) -> None:
    with pytest.raises(UsageError, match="strength"):
        fit_probe(GOOD, CLASSES, strength=strength)


def test_features_that_are_all_the_same_tell_nothing() -> None:
    found = fit_probe(np.ones((4, 3)), np.array([0, 0, 0, 1])).predict(np.ones((1, 3)))
    assert found == pytest.approx(np.array([[0.75, 0.25]]), abs=0.01)


def test_a_probe_refuses_features_of_another_length() -> None:
    with pytest.raises(DataError, match=r"\(samples, 2\)"):
        fit_probe(GOOD + CLASSES[:, None], CLASSES).predict(np.zeros((1, 3)))
