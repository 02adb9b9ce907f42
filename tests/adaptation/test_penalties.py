"""What the loss hears of the target in a step, by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.adaptation.losses import coral_distance
from tfxfer.adaptation.penalties import Adversary, Alignment, Lesson, make_penalty, scale_features
from tfxfer.training.companion import Pairing

RNG = np.random.default_rng(0)
OWN = RNG.normal(size=(6, 4)).astype(np.float32)
OTHER = (2 * RNG.normal(size=(8, 4)) + 1).astype(np.float32)


def pair(**changes: Any) -> Pairing:
    parts: dict[str, Any] = {
        "own": OWN,
        "other": OTHER,
        "answers": np.full((8, 2), 0.5, np.float32),
        "targets": np.eye(2, dtype=np.float32)[np.arange(8) % 2],
        "weights": np.ones(8, np.float32),
        "progress": np.ones(1, np.float32),
    }
    return Pairing(
        **{name: keras.ops.convert_to_tensor(x) for name, x in (parts | changes).items()}
    )


def measure(layer: Any, **changes: Any) -> float:
    return float(keras.ops.convert_to_numpy(layer(pair(**changes))))


def test_features_are_scaled_together_and_the_scale_of_a_network_does_not_matter() -> None:
    own, other = (keras.ops.convert_to_numpy(x) for x in scale_features(OWN, OTHER))
    assert np.concatenate([own, other]).var(axis=0).mean() == pytest.approx(1, rel=1e-4)
    assert np.concatenate([own, other]).mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-5)
    factor = (own - other[:6]) / (OWN - OTHER[:6])
    assert factor == pytest.approx(np.full((6, 4), factor[0, 0]), rel=1e-3)
    for method in ("deep_coral", "mmd"):
        layer = make_penalty(method, 4, strength=1.0)
        expected = measure(layer)
        assert expected > 0.01
        assert measure(layer, own=30 * OWN, other=30 * OTHER) == pytest.approx(expected, rel=1e-3)
        assert measure(layer, own=30 * OWN) != pytest.approx(expected, rel=1e-3)


def test_a_distance_is_multiplied_by_its_strength_and_by_how_many_samples_it_is_of() -> None:
    expected = float(keras.ops.convert_to_numpy(coral_distance(*scale_features(OWN, OTHER))))
    # Six samples beside eight.
    assert measure(Alignment(coral_distance, strength=3.0)) == pytest.approx(3 * 6 / 8 * expected)
    more = np.concatenate([OWN, OWN])
    assert np.isfinite(measure(Alignment(coral_distance, strength=1.0), own=OWN[:1]))
    full = float(keras.ops.convert_to_numpy(coral_distance(*scale_features(more, OTHER))))
    assert measure(Alignment(coral_distance, strength=1.0), own=more) == pytest.approx(full)


def test_a_discriminator_that_guesses_is_at_log_two() -> None:
    layer = Adversary(4, strength=1.0, seed=0)
    assert [x.shape for x in layer.trainable_variables] == [(4, 100), (100,), (100, 1), (1,)]
    layer.logit.kernel.assign(np.zeros((100, 1)))
    assert measure(layer) == pytest.approx(np.log(2), rel=1e-5)
    # What it adds does not depend on how much of its gradient is turned around.
    assert measure(Adversary(4, strength=9.0, seed=1)) == pytest.approx(
        measure(Adversary(4, strength=0.1, seed=1)), rel=1e-5
    )
    # It calls the target 1.
    layer.logit.bias.assign([5.0])
    expected = 0.5 * (np.log1p(np.exp(5)) + np.log1p(np.exp(-5)))
    assert measure(layer) == pytest.approx(expected, rel=1e-5)


def test_a_lesson_is_the_cross_entropy_of_those_that_count() -> None:
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 1.0], [0.5, 0.5]], np.float32)
    targets = np.array([[1, 0], [0.5, 0.5], [1, 0], [0, 1]], np.float32)
    weights = np.array([1, 1, 0, 0], np.float32)
    given = {"answers": answers, "targets": targets, "weights": weights}
    expected = -(np.log(0.9) + 0.5 * (np.log(0.2) + np.log(0.8))) / 4
    assert measure(Lesson(2.0), **given) == pytest.approx(2 * np.tanh(5) * expected, rel=1e-4)
    halfway = np.full(1, 0.1, np.float32)
    assert measure(Lesson(2.0), **given, progress=halfway) == pytest.approx(
        2 * np.tanh(0.5) * expected, rel=1e-4
    )
    # An answer of 0 costs much, and not more than a number.
    assert np.isfinite(measure(Lesson(1.0), **given | {"weights": np.ones(4, np.float32)}))
