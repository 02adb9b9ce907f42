"""The nearest class mean, against hand computations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.trust.likelihood import apply_link, measure_losses
from tfxfer_heads import Prototype
from tfxfer_heads.prototype import NearestMean


def make_form(metric: str) -> NearestMean:
    form = Prototype(metric=metric).closed_form()
    assert isinstance(form, NearestMean)
    return form


def zeros(features: int, labels: int) -> list[np.ndarray]:
    return [np.zeros((features, labels), np.float32), np.zeros(labels, np.float32)]


def draw(
    counts: tuple[int, ...], *, features: int = 12, spread: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns samples around one mean a class, of unlike lengths, and one-hot targets."""
    rng = np.random.default_rng(seed)
    means = rng.normal(3, 1.0, (len(counts), features))
    classes = np.repeat(np.arange(len(counts)), counts)
    values = means[classes] + rng.normal(0, spread, (len(classes), features))
    return (values * rng.uniform(0.5, 2, (len(values), 1))).astype(np.float32), np.eye(
        len(counts), dtype=np.float32
    )[classes]


def test_two_means_by_hand() -> None:
    features = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]], np.float32)
    targets = np.eye(2)[[0, 0, 1, 1]]
    kernel, bias = make_form("euclidean").fit(features, targets, zeros(2, 2))
    # Means (0, 1) and (4, 1): logits are s (y - 1/2) and s (4x + y - 17/2) for a scale s.
    scale = kernel[1, 0]
    assert scale > 0
    np.testing.assert_allclose(kernel, scale * np.array([[0, 4], [1, 1]]), atol=1e-6)
    np.testing.assert_allclose(bias, scale * np.array([-0.5, -8.5]), rtol=1e-6)


def test_two_directions_by_hand() -> None:
    features = np.array([[3.0, 0.0], [9.0, 0.0], [0.0, 5.0], [3.0, 4.0]], np.float32)
    targets = np.eye(2)[[0, 0, 1, 1]]
    kernel, bias = make_form("cosine").fit(features, targets, zeros(2, 2))
    # Of length 1: (1, 0) twice; (0, 1) and (0.6, 0.8), whose mean is (0.3, 0.9).
    scale = kernel[0, 0]
    expected = np.array([[1, 0.3 / np.sqrt(0.9)], [0, 0.9 / np.sqrt(0.9)]])
    np.testing.assert_allclose(kernel, scale * expected, atol=1e-6)
    assert not bias.any()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_layer_answers_as_the_distances_do(metric: str) -> None:
    features, targets = draw((4, 7, 5), spread=2.0)
    others, _ = draw((40, 40, 40), spread=2.0, seed=1)
    kernel, bias = make_form(metric).fit(features, targets, zeros(12, 3))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, others)]
    train, test = (features, others) if metric == "euclidean" else unit
    means = np.stack([train[targets[:, k] == 1].mean(axis=0) for k in range(3)])
    if metric == "euclidean":
        near = -0.5 * np.square(test[:, None] - means).sum(axis=2)
    else:
        near = test @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    logits = others @ kernel + bias
    assert (logits.argmax(axis=1) == near.argmax(axis=1)).all()
    if metric == "euclidean":  # and the probabilities are those of the distances, to one scale
        squares = np.square(kernel[:, 0]).sum() / np.square(means[0]).sum()
        expected = apply_link(np.sqrt(squares) * near, "softmax")
        np.testing.assert_allclose(apply_link(logits, "softmax"), expected, atol=1e-5)
    # Not any means do: the check can fail.
    wrong, off = make_form(metric).fit(features, np.roll(targets, 1, axis=1), zeros(12, 3))
    assert ((others @ wrong + off).argmax(axis=1) != near.argmax(axis=1)).mean() > 0.5


def test_the_length_of_features_changes_no_answer_of_the_cosine() -> None:
    """No network normalises: all logits of a sample are longer by the same factor."""
    features, targets = draw((5, 5, 5))
    kernel, bias = make_form("cosine").fit(features, targets, zeros(12, 3))
    others, _ = draw((30, 30, 30), seed=3)
    factors = np.random.default_rng(0).uniform(0.01, 100, (90, 1))
    answers = [(x @ kernel + bias).argmax(axis=1) for x in (others, others * factors)]
    assert (answers[0] == answers[1]).all()
    # Which is not so of distances.
    kernel, bias = make_form("euclidean").fit(features, targets, zeros(12, 3))
    answers = [(x @ kernel + bias).argmax(axis=1) for x in (others, others * factors)]
    assert (answers[0] != answers[1]).any()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_confidence_is_near_the_likeliest_of_other_samples(metric: str) -> None:
    features, targets = draw((20, 20, 20, 20), spread=1.5)
    others, truth = draw((300, 300, 300, 300), spread=1.5, seed=0)
    kernel, bias = make_form(metric).fit(features, targets, zeros(12, 4))
    logits = others @ kernel + bias
    losses = {
        factor: measure_losses(factor * logits, truth, "softmax").mean()
        for factor in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)
    }
    assert losses[1.0] < 1.02 * min(losses.values())
    assert min(losses[0.1], losses[10.0]) > 1.2 * losses[1.0]


def test_samples_that_are_all_right_are_not_believed_without_end() -> None:
    features, targets = draw((3, 3), spread=0.01)
    kernel, bias = make_form("euclidean").fit(features, targets, zeros(12, 2))
    scores = apply_link(features @ kernel + bias, "softmax").max(axis=1)
    # Six samples vouch for 7 in 8; rounding of scores that differ little is 1 %.
    assert 0.7 < scores.mean() < 0.999


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_one_sample_a_class_has_a_scale(metric: str) -> None:
    features, targets = draw((1, 1, 1), spread=0.1)
    kernel, bias = make_form(metric).fit(features, targets, zeros(12, 3))
    scores = apply_link(features @ kernel + bias, "softmax")
    assert (scores.argmax(axis=1) == [0, 1, 2]).all()
    assert 0.5 < scores.max(axis=1).min() <= 1


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_label_is_added_as_if_it_had_been_there(metric: str) -> None:
    features, targets = draw((6, 6, 6))
    form = make_form(metric)
    two = form.fit(features[:12], targets[:12, :2], zeros(12, 2))
    # As the core stores it, divided by a temperature.
    two = [(x / 1.7).astype(np.float32) for x in two]
    three = form.add_label(two, features[12:])
    for before, after in zip(two, three, strict=True):
        np.testing.assert_array_equal(after[..., :2].astype(np.float32), before)
    whole = form.fit(features, targets, zeros(12, 3))
    ratio = np.linalg.norm(three[0][:, 0]) / np.linalg.norm(whole[0][:, 0])
    for ours, theirs in zip(three, whole, strict=True):
        np.testing.assert_allclose(ours, ratio * theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_class_without_samples_keeps_its_mean(metric: str) -> None:
    features, targets = draw((6, 6, 6))
    form = make_form(metric)
    earlier = [x / 2.5 for x in form.fit(features, targets, zeros(12, 3))]
    # Whatever stands for the others, which are measured anew.
    earlier[0][:, 2] = 7
    kept = form.fit(features[6:], targets[6:], earlier)
    both = form.fit(features, targets, zeros(12, 3))
    rows = [(x[0] / np.linalg.norm(x[0][:, 1])) for x in (kept, both)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_other_layers_are_refused(metric: str) -> None:
    form, rng = make_form(metric), np.random.default_rng(0)
    features, targets = draw((6, 6, 6))
    kernel, bias = form.fit(features, targets, zeros(12, 3))
    for wrong in (
        [rng.normal(size=(12, 3)), rng.normal(size=3)],
        [kernel, bias + 0.1 * np.abs(kernel).sum()],
        [kernel * [1.0, 1.0, 1.1], bias],
        zeros(12, 3),
    ):
        with pytest.raises(ModelError, match="expected a layer of class means"):
            form.add_label(wrong, features[:2])


def test_what_says_nothing_is_refused() -> None:
    form = make_form("cosine")
    features, targets = draw((3, 3))
    with pytest.raises(DataError, match=r"a sample of every class .* none of number 2"):
        form.fit(features[:3], targets[:3], zeros(12, 2))
    with pytest.raises(DataError, match="classes whose features differ"):
        form.fit(np.ones((4, 12)), np.eye(2)[[0, 0, 1, 1]], zeros(12, 2))
    with pytest.raises(DataError, match="features that have a direction"):
        form.fit(np.zeros((4, 12)), np.eye(2)[[0, 0, 1, 1]], zeros(12, 2))
    with pytest.raises(DataError, match=r"samples of the new class\. Received: none"):
        form.add_label(form.fit(features, targets, zeros(12, 2)), features[:0])
    with pytest.raises(UsageError, match="metric cosine or euclidean"):
        Prototype(metric="manhattan")


def test_nothing_else_fits_its_last_layer() -> None:
    assert Prototype().linear_end() is None
    again: Any = Prototype(**Prototype(metric="euclidean").options())
    assert again.metric == "euclidean"
