"""L2-SP and EWC: penalties on how far weights move."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfxfer.keeping.anchor import hold_weights, measure_distance, read_references


def make_network() -> keras.Model:
    inputs = keras.Input((3,))
    x = keras.layers.Dense(2, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="second")(x))


def sum_penalties(network: keras.Model, *, training: bool) -> float:
    network(np.zeros((1, *network.inputs[0].shape[1:]), np.float32), training=training)
    return sum(map(float, network.losses))


def test_the_penalty_is_half_the_weighted_squared_distance() -> None:
    reference, moved = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 1.0])
    assert float(measure_distance(moved, reference)) == pytest.approx(0.5 * (0.25 + 0 + 4))
    weighed = measure_distance(moved, reference, np.array([4.0, 9.0, 0.0]))
    assert float(weighed) == pytest.approx(0.5 * (4 * 0.25))


def test_what_is_held_is_in_the_loss_and_what_is_frozen_or_free_is_not() -> None:
    network = make_network()
    references = read_references([network.get_layer("first"), network.get_layer("norm")])
    assert [len(x) for x in references.values()] == [2, 2]  # no moving statistics
    first = network.get_layer("first")
    held = hold_weights(network, references, strength=3.0)
    first.set_weights([x + 1 for x in first.get_weights()])
    assert sum_penalties(held, training=True) == pytest.approx(3 * 0.5 * (6 + 2))
    network.get_layer("second").set_weights([np.ones((2, 2)), np.ones(2)])
    assert sum_penalties(held, training=True) == pytest.approx(12)
    # What chooses the epoch is the loss of the head alone.
    assert sum_penalties(held, training=False) == 0
    assert [v.path for v in held.weights] == [v.path for v in network.weights]
    first.trainable = network.get_layer("norm").trainable = False
    assert hold_weights(network, references, strength=3.0) is network
    assert sum_penalties(network, training=True) == 0


def test_importances_weigh_each_weight_of_a_layer() -> None:
    network = make_network()
    first = network.get_layer("first")
    references = read_references([first])
    importances = {"first": [np.zeros((3, 2)), np.array([0.0, 2.0])]}
    held = hold_weights(network, references, strength=1.0, importances=importances)
    first.set_weights([x + 1 for x in first.get_weights()])
    assert sum_penalties(held, training=True) == pytest.approx(0.5 * 2)


def test_a_layer_keeps_the_penalty_that_it_brought() -> None:
    inputs = keras.Input((1,))
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer="l2", name="own")
    network = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.full((1, 1), 2.0)])
    own = sum_penalties(network, training=True)
    held = hold_weights(network, {"own": [np.zeros((1, 1))]}, strength=1.0)
    assert sum_penalties(held, training=True) == pytest.approx(own + 0.5 * 4)
    assert sum_penalties(held, training=False) == pytest.approx(own)


def test_ridge_regression_towards_a_reference_has_its_closed_form() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    reference, strength = np.array([[1.0], [-2.0], [0.5]]), 0.7
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(1, use_bias=False, name="linear")
    network = keras.Model(inputs, layer(inputs))
    # The minimum of mean (xw - y)² + strength/2 · |w - w0|².
    gram = 2 * x.T @ x / len(x) + strength * np.eye(3)
    expected = np.linalg.solve(gram, 2 * x.T @ y / len(x) + strength * reference)
    held = hold_weights(network, {"linear": [reference]}, strength=strength)
    held.compile(keras.optimizers.SGD(0.1), "mse")
    held.fit(x, y, batch_size=40, epochs=300, verbose=0)
    found = layer.get_weights()[0]
    assert found == pytest.approx(expected, abs=1e-3)
    # Without the penalty it is another one.
    assert np.abs(np.linalg.lstsq(x, y, rcond=None)[0] - expected).max() > 0.1
