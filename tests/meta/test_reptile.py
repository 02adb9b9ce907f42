from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer.meta.reptile import (
    Pattern,
    Task,
    learn_to_learn,
    make_inner_optimizer,
    move_weights,
)


def make_line(rate: float) -> Any:
    """Returns y = w x with w = 2, learnt by plain gradient descent on the mean squared error."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    network.layers[0].set_weights([np.array([[2.0]])])
    network.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    return network


def read(network: Any) -> float:
    return float(network.get_weights()[0][0, 0])


def test_weights_move_a_part_of_the_way() -> None:
    found = move_weights(
        [np.array([1.0, 2]), np.array(0.0)], [np.array([3.0, 2]), np.array(8)], 0.25
    )
    assert [x.tolist() for x in found] == [[1.5, 2], 2]


def test_a_linear_problem_that_one_can_compute() -> None:
    """A task is y = a x at x = 1: a step of rate r makes w into w + 2 r (a - w)."""
    network, rate = make_line(0.1), 0.1
    slopes: list[float] = []

    def draw(rng: np.random.Generator) -> Task:
        slopes.append(float(rng.uniform(-1, 1)))
        return np.ones((1, 1), np.float32), np.full((1, 1), slopes[-1], np.float32)

    pattern = Pattern(iterations=4, steps=3, batch_size=1, outer=0.5)
    course = learn_to_learn(network, draw, pattern, seed=0)
    expected = 2.0
    for number, slope in enumerate(slopes):
        reached = slope + (expected - slope) * (1 - 2 * rate) ** 3
        expected += 0.5 * (1 - number / 4) * (reached - expected)
    assert read(network) == pytest.approx(expected, abs=1e-5)
    assert course.iterations == len(course.losses) == 4
    # Without the outer rate's fall it would be elsewhere: the comparison can tell.
    wrong = 2.0
    for slope in slopes:
        wrong += 0.5 * (slope + (wrong - slope) * (1 - 2 * rate) ** 3 - wrong)
    assert abs(read(network) - wrong) > 0.01


def test_tasks_and_their_order_follow_from_the_seed() -> None:
    def draw(rng: np.random.Generator) -> Task:
        x = rng.uniform(-1, 1, (6, 1)).astype(np.float32)
        return x, rng.uniform(-2, 2) * x

    ends = []
    for seed in (0, 0, 1):
        network = make_line(0.1)
        learn_to_learn(network, draw, Pattern(iterations=3, steps=2, batch_size=4), seed=seed)
        ends.append(read(network))
    assert ends[0] == ends[1] != ends[2]


def test_a_loss_that_is_not_finite_is_told_and_the_weights_are_those_before() -> None:
    network = make_line(0.1)

    def draw(rng: np.random.Generator) -> Task:
        return np.ones((1, 1), np.float32), np.full((1, 1), np.inf, np.float32)

    with pytest.raises(ModelError, match="Take a smaller rate"):
        learn_to_learn(network, draw, Pattern(iterations=2, steps=1), seed=0)
    assert read(network) == 2


def test_time_that_is_over_ends_it() -> None:
    network = make_line(0.1)

    def draw(rng: np.random.Generator) -> Task:
        raise AssertionError("no task is drawn")

    course = learn_to_learn(network, draw, Pattern(), seed=0, deadline=0.0)
    assert course.iterations == 0
    assert read(network) == 2


def make_net(seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def draw_sine(rng: np.random.Generator) -> Task:
    """Returns points of a sine of another height and turn, as in Finn et al. 2017, section 5.1."""
    height, turn = rng.uniform(0.5, 3), rng.uniform(0, np.pi)
    x = rng.uniform(-3, 3, (20, 1)).astype(np.float32)
    return x, (height * np.sin(x + turn)).astype(np.float32)


def adapt(network: Any, weights: list[np.ndarray], seed: int) -> float:
    """Returns the error on 15 points of a new sine after learning 5 of it."""
    rng = np.random.default_rng((7, seed))
    x, y = draw_sine(rng)
    assert isinstance(x, np.ndarray)
    network.set_weights(weights)
    network.compile(optimizer=keras.optimizers.SGD(0.02), loss="mse")
    for _ in range(16):
        network.train_on_batch(x[:5], y[:5])
    return float(np.mean((np.asarray(network(x[5:])) - y[5:]) ** 2))


def test_sines_are_learnt_from_five_points_by_who_has_learnt_others() -> None:
    network, pattern = make_net(0), Pattern(iterations=400, steps=8, rate=0.01, outer=0.5)
    plain = network.get_weights()
    network.compile(optimizer=make_inner_optimizer(pattern), loss="mse")
    learn_to_learn(network, draw_sine, pattern, seed=1)
    learnt = network.get_weights()
    before, after = (
        np.mean([adapt(network, weights, seed) for seed in range(8)]) for weights in (plain, learnt)
    )
    assert after < 0.6 * before
