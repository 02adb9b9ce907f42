"""A head that leans on a shortcut is made to look at the thing itself, by the penalty alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.training.fair_head import FairHead, GroupGapLoss

Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def plant(count: int, *, seed: int, channels: int = 8) -> Part:
    """Returns features with a weak sign of the label, and a strong one that lies in group 3.

    Everywhere else the strong one is right in 49 of 50.
    """
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % 2
    groups = rng.choice(4, count, p=(0.31, 0.31, 0.31, 0.07))
    shortcut = np.where((groups == 3) ^ (rng.random(count) < 0.02), 1 - numbers, numbers)
    features = rng.normal(size=(count, channels))
    features[:, 0] += 1.4 * (2 * numbers - 1)
    features[:, 1] += 3.0 * (2 * shortcut - 1)
    one_hot = np.eye(2, dtype=np.float32)[numbers], np.eye(4, dtype=np.float32)[groups]
    return features.astype(np.float32), *one_hot


def measure(scores: np.ndarray, part: Part) -> tuple[float, float]:
    """Returns accuracy, and the largest gap in recall between groups."""
    right = scores.argmax(axis=1) == part[1].argmax(axis=1)
    recalls = np.array(
        [
            [right[(part[1][:, k] == 1) & (part[2][:, g] == 1)].mean() for g in range(4)]
            for k in range(2)
        ]
    )
    return float(right.mean()), float(np.ptp(recalls, axis=1).max())


@pytest.fixture(scope="module")
def outcomes(make_tiny: Callable[..., Any]) -> dict[float, tuple[float, float]]:
    """Accuracy and gap on samples that no head has seen: -1 is the head as it was trained first."""
    test = plant(4000, seed=2)
    head = FairHead(
        make_tiny(labels=2), plant(560, seed=0), plant(240, seed=1), ("positives",), None, 0
    )
    # The shortcut is learnt first, the thing itself takes a while.
    head.fit(0.0)
    head.fit(0.0)
    weights = head.read_weights()
    found = {-1.0: measure(head.score(test[0]), test)}
    for strength in (0.0, 2.0):
        head.write_weights(weights)
        head.fit(strength)
        found[strength] = measure(head.score(test[0]), test)
    return found


def test_the_gap_halves_for_two_points_of_accuracy(
    outcomes: dict[float, tuple[float, float]],
) -> None:
    (accuracy, gap), (fair_accuracy, fair_gap) = outcomes[-1.0], outcomes[2.0]
    assert gap > 0.2
    assert fair_gap < gap / 2
    assert fair_accuracy > accuracy - 0.02


def test_training_again_without_a_penalty_does_not_halve_it(
    outcomes: dict[float, tuple[float, float]],
) -> None:
    assert outcomes[0.0][1] > outcomes[-1.0][1] / 2


def make_loss(parts: tuple[str, ...], strength: float = 1.0) -> GroupGapLoss:
    loss = keras.losses.CategoricalCrossentropy()
    return GroupGapLoss(loss, outputs=2, parts=parts, strength=strength)


TARGETS = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
GROUPS = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 0]], np.float32)
SCORES = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5], [0, 1]], np.float32)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # First label: groups' means .8 and .4; second label: .8 and .5. The last is in no group.
        (("positives",), 0.2**2 + 0.15**2),
        # Of those without the first label .2 and .5, of those without the second .2 and .6.
        (("negatives",), 0.15**2 + 0.2**2),
        # Of all: .6 and .45, .4 and .55.
        (("all",), 0.075**2 + 0.075**2),
        (("positives", "negatives"), 2 * (0.2**2 + 0.15**2)),
    ],
)
def test_the_penalty_by_hand(parts: tuple[str, ...], expected: float) -> None:
    targets = np.concatenate([TARGETS, GROUPS], axis=1)
    plain = float(make_loss(parts, 0.0)(targets, SCORES))
    own = float(keras.losses.CategoricalCrossentropy()(TARGETS, SCORES))
    assert plain == pytest.approx(own, rel=1e-5)
    for strength in (1.0, 3.0):
        found = float(make_loss(parts, strength)(targets, SCORES)) - plain
        assert found == pytest.approx(strength * expected, rel=1e-4)


def test_a_group_that_a_batch_lacks_counts_for_nothing() -> None:
    groups = np.zeros((6, 2), np.float32)
    groups[:, 0] = 1
    targets = np.concatenate([TARGETS, groups], axis=1)
    found = [float(make_loss(("positives",), x)(targets, SCORES)) for x in (0.0, 5.0)]
    assert found[0] == pytest.approx(found[1])


def test_the_model_carries_nothing_of_it(make_tiny: Callable[..., Any], tmp_path: Any) -> None:
    model = make_tiny(labels=2)
    before = [weight.path for weight in model.weights]
    frozen = np.array(model.get_layer("stem_conv").kernel)
    head = FairHead(model, plant(64, seed=0), plant(64, seed=1), ("positives",), None, 0)
    head.fit(1.0)
    assert [weight.path for weight in model.weights] == before
    assert np.array_equal(frozen, np.array(model.get_layer("stem_conv").kernel))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert "GroupGapLoss" not in str(loaded.get_config())
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    assert np.allclose(loaded(pixels), model(pixels), atol=1e-6)
