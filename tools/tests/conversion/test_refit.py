"""A last layer that is fitted to features which quantization has moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer_edge.conversion.refit import PENALTIES, Layer, fit_layers, measure_divergence, refit

FEATURES, OUTPUTS = 24, 4


@pytest.fixture(scope="module")
def layer() -> Layer:
    rng = np.random.default_rng(0)
    return Layer(rng.normal(size=(FEATURES, OUTPUTS)), rng.normal(size=OUTPUTS))


def draw(samples: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(0.5, 1, (samples, FEATURES)), 0)


def move(features: np.ndarray) -> np.ndarray:
    """Returns features as a network of integers might have them: others in scale and in mean."""
    rng = np.random.default_rng(7)
    scale, shift = rng.uniform(0.6, 1.5, FEATURES), rng.uniform(0, 0.5, FEATURES)
    return features * scale + shift


@pytest.mark.parametrize("samples", [FEATURES // 2, 400])
def test_ridge_is_what_its_normal_equations_say(layer: Layer, samples: int) -> None:
    """With more samples than features, and with fewer."""
    exact = draw(samples, seed=1)
    moved, wanted = move(exact), layer.answer(exact)
    ((_, found),) = fit_layers(layer, moved, wanted, penalties=(0.5,))
    centred = moved - moved.mean(axis=0)
    missed = wanted - layer.answer(moved)
    penalty = 0.5 * samples * centred.var(axis=0).mean()
    change = np.linalg.solve(
        centred.T @ centred + penalty * np.eye(FEATURES), centred.T @ (missed - missed.mean(axis=0))
    )
    np.testing.assert_allclose(found.kernel, layer.kernel + change, atol=1e-9)
    # The bias takes up the means: on average nothing is missed any more.
    np.testing.assert_allclose((wanted - found.answer(moved)).mean(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("end", ["SOFTMAX", "LOGISTIC"])
def test_features_that_have_moved_cost_nothing_any_more(layer: Layer, end: str) -> None:
    train, val, test = (draw(400, seed=seed) for seed in (1, 2, 3))
    parts = [(move(x), layer.answer(x)) for x in (train, val)]
    found = refit(layer, *parts, end=end)
    assert found.penalty == min(PENALTIES)
    wanted = layer.answer(test)
    before, after = (
        measure_divergence(wanted, x.answer(move(test)), end=end) for x in (layer, found.layer)
    )
    assert before > 0.2
    assert after < before / 20


def test_noise_is_not_learnt(layer: Layer) -> None:
    """What quantization adds at random is no reason for another layer: the penalty is large."""
    rng = np.random.default_rng(4)
    few = draw(FEATURES, seed=1)
    val = draw(2000, seed=2)
    parts = [(x + rng.normal(0, 0.3, x.shape), layer.answer(x)) for x in (few, val)]
    found = refit(layer, *parts, end="SOFTMAX")
    assert found.penalty is None or found.penalty >= 1
    assert found.after <= found.before


def test_a_layer_that_is_right_stays(layer: Layer) -> None:
    train, val = draw(50, seed=1), draw(50, seed=2)
    found = refit(layer, (train, layer.answer(train)), (val, layer.answer(val)), end="SOFTMAX")
    assert found.penalty is None
    assert found.layer is layer
    assert found.before == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("wanted", "found", "end", "bits"),
    [
        ([[0, 0]], [[5, 5]], "SOFTMAX", 0.0),
        ([[0, 0]], [[0, np.log(3)]], "SOFTMAX", 0.5 * np.log2(2) + 0.5 * np.log2(2 / 3)),
        ([[0]], [[np.log(3)]], "LOGISTIC", 0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)),
        # Far out nothing overflows: one side is surely right, the other surely wrong.
        ([[2000, -2000]], [[-2000, 2000]], "SOFTMAX", 4000 / np.log(2)),
    ],
)
def test_divergence_by_hand(wanted: Any, found: Any, end: str, bits: float) -> None:
    ours = measure_divergence(np.array(wanted, float), np.array(found, float), end=end)
    assert ours == pytest.approx(bits)
