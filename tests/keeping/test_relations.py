"""The distances between samples, as an earlier model saw them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.frontier.cut import make_suffix
from tfxfer.keeping.relations import measure_relations, watch_relations
from tfxfer.stages import set_trainable
from tfxfer.surgery import find_output


def measure(*features: np.ndarray) -> float:
    given = [keras.ops.convert_to_tensor(x, "float32") for x in features]
    return float(measure_relations(*given))


def test_three_points_by_hand() -> None:
    # Distances 3, 4 and 5, of mean 4; and 1, 1 and 2, of mean 4/3.
    earlier = np.array([[0, 0], [3, 0], [0, 4]])
    features = np.array([[0.0], [1.0], [-1.0]])
    old, new = np.array([3, 4, 5]) / 4, np.array([1, 1, 2]) * 3 / 4
    assert measure(earlier, features) == pytest.approx((0.5 * (old - new) ** 2).mean(), rel=1e-5)


def test_a_gap_of_more_than_one_counts_linearly() -> None:
    earlier = np.array([[0.0], [1.0], [2.0], [3.0]])
    features = np.array([[0.0], [0.0], [0.0], [9.0]])
    old = np.array([1, 2, 3, 1, 2, 1]) / (10 / 6)
    new = np.array([0, 0, 9, 0, 9, 9]) / 4.5
    gap = np.abs(old - new)
    assert gap.max() > 1
    expected = np.where(gap <= 1, 0.5 * gap**2, gap - 0.5).mean()
    assert measure(earlier, features) == pytest.approx(expected, rel=1e-4)


def test_features_may_turn_shift_and_grow() -> None:
    rng = np.random.default_rng(0)
    earlier = rng.normal(size=(8, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert measure(earlier, 7 * earlier @ turn + 3) == pytest.approx(0, abs=1e-8)
    assert measure(earlier, earlier[::-1] ** 3) > 1e-2


def test_one_sample_and_equal_ones_have_a_slope() -> None:
    point = keras.Variable(np.ones((2, 3), np.float32))
    assert measure(np.ones((1, 3)), np.ones((1, 3))) == 0
    from tensorflow import GradientTape

    with GradientTape() as tape:
        found = measure_relations(np.eye(2, 3, dtype=np.float32), point)
    assert np.isfinite(tape.gradient(found, point.value)).all()


def test_a_network_after_a_cut_is_compared_at_its_pooled_features(
    make_tiny: Callable[..., Any],
) -> None:
    model, earlier = make_tiny(labels=5, seed=0), make_tiny(seed=1)
    set_trainable(model, "block_2")  # BatchNormalization keeps its statistics
    network = make_suffix(model, "block_2")
    x = np.random.default_rng(0).normal(size=(4, *network.inputs[0].shape[1:])).astype(np.float32)
    y = np.eye(5, dtype=np.float32)[[0, 1, 0, 1]]
    teacher = make_suffix(earlier, "block_2")
    watched = watch_relations(network, teacher, "pool", strength=25.0)
    old, new = (
        keras.Model(part.inputs, find_output(part, "pool")).predict_on_batch(x)
        for part in (teacher, network)
    )
    losses = []
    for each in (network, watched):
        keras.utils.set_random_seed(0)  # of the head's dropout
        each.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy")
        losses.append(each.evaluate(x, y, verbose=0))
    assert losses[0] == pytest.approx(losses[1])
    watched(x, training=True)
    (penalty,) = watched.losses
    assert float(penalty) == pytest.approx(25 * measure(old, new), rel=1e-3)
    assert float(penalty) > 1e-2
