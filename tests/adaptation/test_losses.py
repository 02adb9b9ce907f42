"""How far apart two looks are: against closed forms, with the gradient that a network gets."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer.adaptation.losses import (
    KERNEL_WIDTHS,
    coral_distance,
    find_bandwidth,
    mmd,
    ramp,
    reverse_gradient,
)


def read(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value)


def make_covariance(rows: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Returns rows moved so that their own covariance is exactly the one that is given."""
    centred = rows - rows.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return (centred @ whiten @ np.linalg.cholesky(covariance).T).astype(np.float32)


def test_coral_is_of_known_covariances() -> None:
    rng = np.random.default_rng(0)
    one, other = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, 0.0], [0.0, 3.0]])
    first = make_covariance(rng.normal(size=(40, 2)), one)
    second = make_covariance(rng.normal(size=(25, 2)), other)
    # ((2 - 1)² + 2 · 0.5² + (1 - 3)²) / (4 · 2²), whatever the means are.
    expected = 5.5 / 16
    assert read(coral_distance(first, second + 7)) == pytest.approx(expected, rel=1e-4)
    assert read(coral_distance(first, first[::-1])) == pytest.approx(0, abs=1e-9)
    # Without the correlation it would be another number.
    assert abs(read(coral_distance(first, second)) - 5.0 / 16) > 0.02
    # Of one sample there is no covariance: ‖C‖² / (4 d²).
    alone = read(coral_distance(first[:1], second))
    assert alone == pytest.approx((1 + 9) / 16, rel=1e-4)


def expect_kernel(
    between: np.ndarray, first: np.ndarray, second: np.ndarray, bandwidth: float
) -> float:
    """Returns E exp(-‖x - y‖² / bandwidth) of x and y from two normal distributions.

    x - y is normal, too; the integral of two Gaussians is one.
    """
    spread = np.eye(len(between)) + 2 * (first + second) / bandwidth
    inner = between @ np.linalg.solve(spread, between)
    return float(np.linalg.det(spread) ** -0.5 * np.exp(-inner / bandwidth))


def test_mmd_of_two_gaussians_is_that_of_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    means = np.array([0.0, 0.0]), np.array([1.0, -0.5])
    spreads = np.diag([1.0, 0.5]), np.diag([0.3, 2.0])
    bandwidth = 3.0
    draws = [
        rng.multivariate_normal(mean, spread, 3000).astype(np.float32)
        for mean, spread in zip(means, spreads, strict=True)
    ]
    found = read(mmd(*draws, bandwidth=bandwidth))
    expected = float(
        np.mean(
            [
                expect_kernel(means[0] - means[0], spreads[0], spreads[0], w * bandwidth)
                + expect_kernel(means[1] - means[1], spreads[1], spreads[1], w * bandwidth)
                - 2 * expect_kernel(means[0] - means[1], *spreads, w * bandwidth)
                for w in KERNEL_WIDTHS
            ]
        )
    )
    assert expected > 0.05
    assert found == pytest.approx(expected, rel=0.1)
    # Another distribution is told apart by the same bound, and its own is not far from itself.
    moved = draws[1] + np.float32(0.5)
    assert read(mmd(draws[0], moved, bandwidth=bandwidth)) != pytest.approx(expected, rel=0.1)
    one, two = draws[0][:1500], draws[0][1500:]
    assert abs(read(mmd(one, two, bandwidth=bandwidth))) < 0.05 * expected


def test_mmd_is_unbiased_by_hand() -> None:
    one, other = np.array([[0.0], [1.0]], np.float32), np.array([[3.0]], np.float32)
    # Within the first: exp(-1). The second has no pair. Between: the mean of exp(-9) and exp(-4).
    expected = np.exp(-1) - (np.exp(-9) + np.exp(-4))
    found = read(mmd(one, other, bandwidth=1.0, widths=(1.0,)))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_bandwidth_is_the_median_of_all_distances() -> None:
    one, other = np.array([[0.0], [1.0]], np.float32), np.array([[3.0], [7.0]], np.float32)
    # Squared: 1, 9, 49, 4, 36, 16, of which each pair counts twice.
    assert read(find_bandwidth(one, other)) in (9, 16)
    same = np.ones((4, 3), np.float32)
    assert read(find_bandwidth(same, same)) > 0
    assert np.isfinite(read(mmd(same, same)))


def test_the_ramp_rises_from_nothing_to_one() -> None:
    found = read(ramp(keras.ops.convert_to_tensor([0.0, 0.1, 0.5, 1.0])))
    expected = [0, np.tanh(0.5), np.tanh(2.5), np.tanh(5)]
    assert found == pytest.approx(expected, abs=1e-6)


GRADIENTS = """
import numpy as np
import keras
from tfxfer.adaptation.losses import coral_distance, mmd, reverse_gradient

start = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
other = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, -1.0]], np.float32)
factors = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def step(measure):
    '''Returns the gradient by what one step of descent at rate 1 does to the values.'''
    inputs = keras.Input((1,))
    layer = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(inputs, layer(inputs))

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.values = self.add_weight(shape=start.shape, initializer="zeros", name="values")
            self.values.assign(start)
            self.built = True

        def call(self, inputs):
            return measure(self.values) + 0 * keras.ops.sum(inputs)

    model = Own()
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, found: keras.ops.sum(found))
    model.fit(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), verbose=0)
    return start - np.array(model.values)


ops = keras.ops
plain = step(lambda x: ops.sum(x * factors))
turned = step(lambda x: ops.sum(reverse_gradient(x, 0.25) * factors))
assert np.allclose(plain, factors)
assert np.allclose(turned, -0.25 * factors), turned
assert np.allclose(reverse_gradient(ops.convert_to_tensor(start), 0.25), start)


def differ(measure, at, size=1e-2):
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        move = np.zeros_like(at)
        move[place] = size
        ends = [float(measure(ops.convert_to_tensor(at + sign * move))) for sign in (1, -1)]
        found[place] = (ends[0] - ends[1]) / (2 * size)
    return found


for measure in (
    lambda x: coral_distance(x, other),
    lambda x: mmd(x, other, bandwidth=4.0),
):
    found, expected = step(measure), differ(measure, start)
    assert np.abs(expected).max() > 1e-3
    assert np.allclose(found, expected, atol=2e-3), (found, expected)
# The median heuristic is a number and no function of the values: nothing shrinks it.
assert np.abs(step(lambda x: mmd(x, other))).max() > 1e-3
print(keras.backend.backend(), "done")
"""


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.versions)])
def test_gradients_are_those_of_differences_under_both_backends(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GRADIENTS],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith(f"{backend} done\n")


def test_reversal_leaves_values_as_they_are() -> None:
    values = np.array([1.5, -2.0], np.float32)
    assert read(reverse_gradient(values, 0.7)) == pytest.approx(values)
