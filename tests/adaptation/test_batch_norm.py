"""Statistics of BatchNormalization on another look, against numpy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.adaptation.batch_norm import (
    adapt_statistics,
    has_statistics,
    list_statistics,
    write_statistics,
)


@pytest.fixture
def model() -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization(epsilon=1e-3, name="first")(inputs)
    x = keras.layers.Dense(4, activation="relu", name="between")(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name="second")(x)
    made = keras.Model(inputs, x)
    for layer in made.layers:
        layer.trainable = False
    return made


def draw(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 3)) * (1, 2, 3) + (4, 0, -2)).astype(np.float32)


def test_a_batch_sets_each_layer_to_what_it_then_sees(model: Any) -> None:
    inputs, weights = draw(50), [np.array(x) for x in model.get_layer("between").get_weights()]
    adapt_statistics(model, [inputs])
    (mean, variance), (second_mean, second_variance) = list_statistics(model)
    assert mean == pytest.approx(inputs.mean(axis=0), abs=1e-5)
    assert variance == pytest.approx(inputs.var(axis=0), rel=1e-4)
    normal = (inputs - inputs.mean(axis=0)) / np.sqrt(inputs.var(axis=0) + 1e-3)
    between = np.maximum(normal @ weights[0] + weights[1], 0)
    assert second_mean == pytest.approx(between.mean(axis=0), abs=1e-4)
    assert second_variance == pytest.approx(between.var(axis=0), abs=1e-4)
    # In use, the network normalises this look to mean 0 and variance 1.
    outputs = np.asarray(model(inputs, training=False))
    assert outputs.mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert np.abs(np.asarray(model(inputs + 1, training=False)).mean(axis=0)).max() > 0.1
    assert not any(layer.trainable for layer in model.layers)
    assert {layer.momentum for layer in model.layers if hasattr(layer, "momentum")} == {0.99}
    kept = model.get_layer("between").get_weights()
    assert all((one == other).all() for one, other in zip(kept, weights, strict=True))


def test_batches_are_pooled(model: Any) -> None:
    one, two = draw(30), draw(30, seed=1) + 5
    adapt_statistics(model, [one, two])
    mean, variance = list_statistics(model)[0]
    both = np.concatenate([one, two])
    assert mean == pytest.approx(both.mean(axis=0), abs=1e-5)
    assert variance == pytest.approx(both.var(axis=0), rel=1e-4)


def test_statistics_can_be_put_back(model: Any) -> None:
    before = list_statistics(model)
    adapt_statistics(model, [draw(20)])
    assert np.abs(list_statistics(model)[0][0] - before[0][0]).max() > 1
    write_statistics(model, before)
    for (mean, variance), (old_mean, old_variance) in zip(
        list_statistics(model), before, strict=True
    ):
        assert (mean == old_mean).all()
        assert (variance == old_variance).all()


def test_a_model_may_have_none(model: Any) -> None:
    assert has_statistics(model)
    assert not has_statistics(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
