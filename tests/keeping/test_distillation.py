"""The earlier model's answers as soft targets."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.keeping.distillation import measure_divergence, watch_answers
from tfxfer.surgery import find_output


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def measure(*scores: np.ndarray, **options: Any) -> np.ndarray:
    given = [np.asarray(x, np.float32) for x in scores]
    return keras.ops.convert_to_numpy(measure_divergence(*given, **options))


def test_softmax_is_the_divergence_of_tempered_logits_of_the_earlier_labels() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    p, q = softmax(old / 2), softmax(new[:, :3] / 2)
    expected = 4 * (p * np.log(p / q)).sum(axis=1)
    found = measure(softmax(old), softmax(new), link="softmax")
    assert found == pytest.approx(expected, abs=1e-5)
    # A new label that takes all of the score away changes nothing between the others.
    new[:, 3] += 5
    assert measure(softmax(old), softmax(new), link="softmax") == pytest.approx(expected, abs=1e-5)
    new[:, 0] += 1
    assert np.abs(measure(softmax(old), softmax(new), link="softmax") - expected).max() > 1e-2


def test_sigmoid_is_summed_over_labels() -> None:
    old, new = np.array([[0.3, -1.2]]), np.array([[1.0, -1.2, 4.0]])
    p, q = (1 / (1 + np.exp(-x[:, :2] / 2)) for x in (old, new))
    expected = 4 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(axis=1)
    found = measure(*(1 / (1 + np.exp(-x)) for x in (old, new)), link="sigmoid")
    assert found == pytest.approx(expected, rel=1e-4)


def test_without_a_link_it_is_half_the_squared_difference() -> None:
    assert measure(np.array([[1.0]]), np.array([[4.0]]), link=None).tolist() == [4.5]


def test_without_a_link_no_unit_counts() -> None:
    metres, known = np.array([[1.0], [2.0]]), np.array([[1.5], [2.0]])
    first = measure(known, metres, link=None, scale=np.array([0.5], np.float32))
    assert first.tolist() == [0.5, 0]
    assert measure(1000 * known, 1000 * metres, link=None, scale=np.array([500], np.float32)) == (
        pytest.approx(first)
    )


@pytest.mark.parametrize("link", ["softmax", "sigmoid", None])
def test_equal_answers_cost_nothing_and_certain_ones_are_finite(link: str | None) -> None:
    scores = np.array([[1.0, 0.0], [0.2, 0.8]])
    assert measure(scores, scores, link=link) == pytest.approx([0, 0], abs=1e-6)
    assert np.isfinite(measure(scores, scores[:, ::-1], link=link)).all()


def make_network(seed: int, labels: int = 2) -> keras.Model:
    inputs = keras.Input((3,))
    start = keras.initializers.GlorotUniform(seed)
    logits = keras.layers.Dense(labels, kernel_initializer=start, name="logits")(inputs)
    return keras.Model(inputs, keras.layers.Softmax(name="scores")(logits))


def measure_loss(network: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Returns the loss of one step that moves nothing."""
    network.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy")
    return float(network.train_on_batch(x, y))


def test_a_watched_network_answers_alike_and_its_training_has_the_divergence() -> None:
    network, earlier = make_network(1), make_network(2)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]]
    watched = watch_answers(network, earlier, strength=3.0, link="softmax")
    before, known = network.predict_on_batch(x), earlier.predict_on_batch(x)
    assert watched.predict_on_batch(x) == pytest.approx(before)
    assert [v.path for v in watched.weights] == [v.path for v in network.weights]
    own = measure_loss(network, x, y)
    expected = own + 3 * measure(known, before, link="softmax").mean()
    assert measure_loss(watched, x, y) == pytest.approx(expected, rel=1e-4)
    # What chooses the epoch is the loss of the head alone.
    assert watched.evaluate(x, y, verbose=0) == pytest.approx(own, rel=1e-4)
    teacher = earlier.get_weights()
    watched.compile("sgd", "categorical_crossentropy")
    watched.fit(x, y, epochs=2, verbose=0)
    # What trains is the network; the earlier one stays as it is.
    assert np.abs(network.predict_on_batch(x) - before).max() > 1e-3
    for left, right in zip(earlier.get_weights(), teacher, strict=True):
        assert (left == right).all()


def test_further_labels_are_told_apart_among_themselves() -> None:
    network, earlier = make_network(1, labels=5), make_network(2, labels=3)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    y = np.eye(5, dtype=np.float32)[[3, 4, 3, 4, 3, 4]]
    apart = watch_answers(network, earlier, strength=3.0, link="softmax", apart=("logits", 3))
    scores, known = network.predict_on_batch(x), earlier.predict_on_batch(x)
    assert apart.predict_on_batch(x) == pytest.approx(scores)
    further = scores[:, 3:] / scores[:, 3:].sum(axis=1, keepdims=True)
    own = -np.log(further[np.arange(6), y.argmax(axis=1) - 3]).mean()
    expected = own + 3 * measure(known, scores, link="softmax").mean()
    assert measure_loss(apart, x, y) == pytest.approx(expected, rel=1e-4)
    # The loss over all labels would be another one.
    assert abs(measure_loss(network, x, y) - own) > 0.1


def test_what_is_told_apart_leaves_the_earlier_labels_to_the_soft_targets() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    y = np.eye(5, dtype=np.float32)[[3, 4, 3, 4, 3, 4]]
    moved = []
    for apart in (("logits", 3), None):
        network = make_network(1, labels=5)
        earlier = make_network(2, labels=3)
        layer = network.get_layer("logits")
        # As a run that goes on begins: the earlier labels' weights are the earlier run's.
        kernel, bias = layer.get_weights()
        kernel[:, :3] = earlier.get_layer("logits").get_weights()[0]
        layer.set_weights([kernel, bias])
        watched = watch_answers(network, earlier, strength=1.0, link="softmax", apart=apart)
        watched.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
        watched.fit(x, y, epochs=3, verbose=0)
        moved.append(np.abs(layer.get_weights()[0][:, :3] - kernel[:, :3]).max())
    assert moved[0] < 1e-5 < 1e-2 < moved[1]


def test_the_part_after_a_cut_is_watched_in_its_own_graph() -> None:
    network, earlier = make_network(1, labels=5), make_network(2, labels=3)
    cut = keras.Model(network.get_layer("logits").output, network.outputs[0])
    known = keras.Model(earlier.get_layer("logits").output, earlier.outputs[0])
    assert find_output(cut, "scores") is cut.outputs[0]
    with pytest.raises(ModelError, match=r"expected a layer 'logits' that its outputs"):
        find_output(cut, "logits")
    assert watch_answers(cut, known, strength=1.0, link="softmax").count_params() == 0
