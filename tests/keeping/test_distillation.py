"""The earlier model's answers as soft targets."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfxfer.keeping.distillation import measure_divergence, watch_answers


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def measure(*scores: np.ndarray, **options: object) -> np.ndarray:
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


@pytest.mark.parametrize("link", ["softmax", "sigmoid", None])
def test_equal_answers_cost_nothing_and_certain_ones_are_finite(link: str | None) -> None:
    scores = np.array([[1.0, 0.0], [0.2, 0.8]])
    assert measure(scores, scores, link=link) == pytest.approx([0, 0], abs=1e-6)
    assert np.isfinite(measure(scores, scores[:, ::-1], link=link)).all()


def test_a_watched_network_answers_alike_and_its_loss_has_the_divergence() -> None:
    def make(seed: int) -> keras.Model:
        inputs = keras.Input((3,))
        start = keras.initializers.GlorotUniform(seed)
        dense = keras.layers.Dense(2, "softmax", kernel_initializer=start, name="dense")
        return keras.Model(inputs, dense(inputs))

    network, earlier = make(1), make(2)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]]
    watched = watch_answers(network, earlier, strength=3.0, link="softmax")
    before, known = network.predict_on_batch(x), earlier.predict_on_batch(x)
    assert watched.predict_on_batch(x) == pytest.approx(before)
    assert [v.path for v in watched.weights] == [v.path for v in network.weights]
    for model in (network, watched):
        model.compile("sgd", "categorical_crossentropy")
    own = network.evaluate(x, y, verbose=0)
    expected = own + 3 * measure(known, before, link="softmax").mean()
    assert watched.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-4)
    teacher = earlier.get_weights()
    watched.fit(x, y, epochs=2, verbose=0)
    # What trains is the network; the earlier one stays as it is.
    assert np.abs(network.predict_on_batch(x) - before).max() > 1e-3
    for left, right in zip(earlier.get_weights(), teacher, strict=True):
        assert (left == right).all()
