from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage

from tfxfer import DataError
from tfxfer.trust.distances import (
    FrechetSpace,
    channel_distance,
    gaussian_distance,
    measure_mmd,
)


def distance(mean: float, variance: float, *, of: tuple[float, float], epsilon: float) -> float:
    return float(
        channel_distance(
            np.array([mean]),
            np.array([variance]),
            source_mean=np.array([of[0]]),
            source_variance=np.array([of[1]]),
            epsilon=epsilon,
        )
    )


def measure_frechet(source: np.ndarray, target: np.ndarray) -> float:
    owner = np.arange(len(source) + len(target)) < len(source)
    return FrechetSpace(np.concatenate([source, target])).measure(owner, ~owner)


def test_the_distance_of_a_channel_is_that_of_its_moments() -> None:
    # Off by 2 in the mean and by 3 - 2 in the deviation: (4 + 1) / 4.
    assert distance(3, 9, of=(1, 4), epsilon=0) == pytest.approx(1.25)
    assert distance(3, 9, of=(1, 4), epsilon=1) == pytest.approx(1.0)
    assert distance(1, 4, of=(1, 4), epsilon=0) == 0
    # Of two channels the mean, for each row.
    found = channel_distance(
        np.array([[3.0, 1.0], [1.0, 1.0]]),
        np.array([[9.0, 4.0], [4.0, 4.0]]),
        source_mean=np.ones(2),
        source_variance=np.full(2, 4.0),
        epsilon=0,
    )
    np.testing.assert_allclose(found, [0.625, 0])


def test_a_channel_that_is_all_but_dead_does_not_count_for_all_others() -> None:
    # Off by a hundredth, where the layer adds .001 to a variance of next to nothing.
    assert distance(0.01, 1e-12, of=(0, 1e-12), epsilon=1e-3) == pytest.approx(0.1, rel=1e-6)
    assert distance(0.01, 1e-12, of=(0, 1e-12), epsilon=0) > 1e7
    assert distance(0, -1e-18, of=(0, 1), epsilon=0) == 1  # what rounding makes of a constant


def test_gaussians_with_diagonal_covariances_have_a_closed_form() -> None:
    one, other = np.diag([1.0, 4.0]), np.diag([9.0, 4.0])
    found = gaussian_distance(np.array([0.0, 1.0]), one, np.array([2.0, 1.0]), other)
    assert found == pytest.approx(2**2 + (3 - 1) ** 2)
    assert gaussian_distance(np.ones(2), one, np.ones(2), one) == pytest.approx(0, abs=1e-12)


def test_gaussians_that_do_not_commute_agree_with_the_root_of_their_product() -> None:
    rng = np.random.default_rng(0)
    one, other = (x @ x.T for x in rng.normal(size=(2, 5, 8)))
    mean, other_mean = rng.normal(size=(2, 5))
    root = np.real(np.trace(sqrtm(one @ other)))
    expected = np.square(mean - other_mean).sum() + np.trace(one) + np.trace(other) - 2 * root
    assert gaussian_distance(mean, one, other_mean, other) == pytest.approx(expected, rel=1e-9)
    # The control: the product of the roots is another number.
    wrong = np.trace(sqrtm(one) @ sqrtm(other)).real
    assert abs(wrong - root) > 1e-3 * root


@pytest.mark.parametrize(("samples", "features"), [(60, 8), (20, 90)])
def test_the_span_of_the_samples_is_enough(samples: int, features: int) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(samples, features))
    b = rng.normal(0.2, 1.4, size=(samples + 5, features))
    (one, share), (other, _) = ledoit_wolf(a), ledoit_wolf(b)
    expected = gaussian_distance(a.mean(0), one, b.mean(0), other)
    assert measure_frechet(a, b) == pytest.approx(expected, rel=1e-9)
    # The control: without what lies outside of the span, or without shrinkage, it is another one.
    assert share == pytest.approx(ledoit_wolf_shrinkage(a))
    plain = gaussian_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert abs(plain - expected) > 0.01 * expected


def test_a_shift_of_all_samples_is_its_square() -> None:
    rng = np.random.default_rng(2)
    for features in (4, 80):
        a = rng.normal(size=(30, features))
        shift = np.zeros(features)
        shift[:2] = 3, 4
        assert measure_frechet(a, a) == pytest.approx(0, abs=1e-9)
        assert measure_frechet(a, a + shift) == pytest.approx(25)
        assert measure_frechet(a, a * 2) > 1


def test_equal_samples_span_nothing() -> None:
    same = np.ones((4, 6))
    assert measure_frechet(same, same) == 0
    assert measure_frechet(same, same + np.eye(6)[0]) == pytest.approx(1)
    assert FrechetSpace(np.ones((6, 3))).measure(np.arange(3), np.arange(3, 6)) == 0


def test_mmd_is_what_its_definition_says() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(5, 2)), rng.normal(0.5, 1, size=(4, 2))
    both = np.concatenate([a, b])
    squares = np.square(both[:, None] - both[None]).sum(-1)
    median = np.median([squares[i, j] for i in range(9) for j in range(i)])

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.exp(-np.square(x - y).sum() / (2 * median)))

    inside = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    other = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert measure_mmd(a, b, permutations=9)[0] == pytest.approx(inside + other - 2 * across)


def test_the_p_value_of_sets_apart_is_the_smallest_there_is() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(30, 5)), rng.normal(1.5, 1, size=(25, 5))
    value, p_value = measure_mmd(a, b, permutations=199)
    assert (value > 0.1, p_value) == (True, 1 / 200)
    assert measure_mmd(a, b, permutations=199, seed=1) == (value, p_value)


def test_sets_as_far_apart_as_they_can_be_are_ties() -> None:
    # Of six ways to share four points out, two are the one that is seen: p is about a third.
    rng = np.random.default_rng(6)
    for _ in range(20):
        a, b = rng.normal(size=(2, 3)), rng.normal(9, 1, size=(2, 3))
        assert measure_mmd(a, b)[1] > 0.2


def test_p_values_of_one_kind_are_spread_evenly() -> None:
    rng = np.random.default_rng(5)
    found = np.array(
        [
            measure_mmd(*rng.normal(size=(2, 20, 4)), permutations=99, seed=seed)[1]
            for seed in range(200)
        ]
    )
    assert 0.01 <= (found < 0.05).mean() <= 0.10
    assert 0.40 <= (found < 0.50).mean() <= 0.60
    # The control: sets that differ a little are told more often than that.
    shifted = [
        measure_mmd(x, y + 0.5, permutations=99)[1] for x, y in rng.normal(size=(50, 2, 20, 4))
    ]
    assert (np.array(shifted) < 0.05).mean() > 0.3


def test_what_cannot_be_compared_is_refused() -> None:
    for a, b in (((1, 3), (4, 3)), ((4, 3), (4, 2)), ((4,), (4,))):
        with pytest.raises(DataError, match="at least two rows each"):
            measure_mmd(np.ones(a), np.ones(b))
