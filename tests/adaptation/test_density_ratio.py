"""Density ratios against two Gaussians, whose ratio is known, and what weighting by them gains."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.adaptation.density_ratio import (
    MOST_RATIO,
    count_effective,
    estimate_ratios,
    find_ratios,
)
from tfxfer.adaptation.reweighting import make_reweighting
from tfxfer.errors import DataError

SHIFT = 0.8


def draw_gaussians(seed: int = 0, shift: float = SHIFT) -> tuple[np.ndarray, np.ndarray]:
    """Returns standard normal samples of two features, and ones moved along the first."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(600, 2)), rng.normal(size=(500, 2)) + np.array([shift, 0])


def test_the_ratio_of_two_gaussians_is_found() -> None:
    source, target = draw_gaussians()
    found = estimate_ratios(source, target)
    # N(m, 1) / N(0, 1) at x is exp(m x - m² / 2).
    truth = np.exp(SHIFT * source[:, 0] - SHIFT**2 / 2)
    truth = np.minimum(truth, MOST_RATIO) / np.minimum(truth, MOST_RATIO).mean()
    off = np.abs(np.log(found.weights) - np.log(truth)).mean()
    assert off < 0.12
    assert np.corrcoef(found.weights, truth)[0, 1] > 0.98
    # As far off as weights that know nothing, which the bound above must refuse.
    assert np.abs(np.log(truth)).mean() > 0.5
    assert found.effective == pytest.approx(count_effective(truth), rel=0.1)
    # Of two normals of the same width the area is Φ(m / √2).
    assert found.separation == pytest.approx(0.714, abs=0.03)
    assert found.weights.mean() == pytest.approx(1, abs=1e-6)


def test_weights_carry_an_average_over_to_the_target() -> None:
    source, target = draw_gaussians(3)
    weights = estimate_ratios(source, target).weights
    assert source[:, 0].mean() == pytest.approx(0, abs=0.1)
    assert (weights * source[:, 0]).mean() == pytest.approx(target[:, 0].mean(), abs=0.12)


@pytest.mark.parametrize("seed", range(5))
def test_equal_distributions_weigh_all_samples_alike(seed: int) -> None:
    source, target = draw_gaussians(seed, shift=0.0)
    found = estimate_ratios(source, target, seed=seed)
    assert found.effective > 0.97 * len(source)
    assert np.abs(found.weights - 1).max() < 0.5


def test_no_sample_is_judged_by_a_classifier_that_saw_it() -> None:
    # Each sample of the source lies five times over, in 60 features: whoever has seen one of its
    # copies knows which side it is of, and would weigh it down.
    rng = np.random.default_rng(0)
    once = rng.normal(size=(30, 60))
    source, target = np.repeat(once, 5, axis=0), rng.normal(size=(150, 60))
    groups = np.repeat(np.arange(30), 5).tolist()
    apart = estimate_ratios(source, target, groups=groups)
    mixed = estimate_ratios(source, target)
    assert apart.effective > 0.9 * len(source)
    assert mixed.effective < 0.8 * len(source)


def test_effective_samples_by_hand() -> None:
    assert count_effective(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert count_effective(np.full(7, 0.3)) == pytest.approx(7)
    assert count_effective(np.array([5.0, 0.0, 0.0])) == 1


def test_ratios_by_hand() -> None:
    # 3 of 4 are of the target where the source has twice the samples: 3 * 2 times as likely.
    assert find_ratios(np.array([0.75]), 200, 100) == pytest.approx([6.0])
    assert np.isfinite(find_ratios(np.array([0.0, 1.0]), 200, 100)).all()


def test_looks_that_do_not_overlap_are_cut_and_warned_of() -> None:
    rng, far = np.random.default_rng(0), np.array([8, 0, 0])
    source = np.concatenate([rng.normal(size=(195, 3)), rng.normal(size=(5, 3)) + far])
    target = rng.normal(size=(200, 3)) + far
    found = estimate_ratios(source, target)
    assert found.clipped == pytest.approx(5 / 200)
    record = make_reweighting(found, [f"{n}.jpg" for n in range(200)], 200)
    assert record.share < 0.1
    warning = record.find_warning()
    assert warning is not None
    assert "few look like the target" in warning
    assert set(record.heaviest) == {f"{n}.jpg" for n in range(195, 200)}
    assert "2.5% of the ratios were above 10" in "\n".join(record.describe())


@pytest.mark.parametrize("shape", [((19, 3), (30, 3)), ((30, 3), (19, 3)), ((30, 3), (30, 4))])
def test_what_has_no_ratio_is_refused(shape: tuple[tuple[int, int], tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="density ratios: expected"):
        estimate_ratios(rng.normal(size=shape[0]), rng.normal(size=shape[1]))


def test_weights_help_a_classifier_that_cannot_be_right_everywhere() -> None:
    """A line cannot follow a sine: it had best be right where the target is."""
    from sklearn.linear_model import LogisticRegression

    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)

        def draw(centre: float, rng: np.random.Generator = rng) -> tuple[np.ndarray, np.ndarray]:
            x = np.stack([rng.normal(centre, 0.6, 800), rng.normal(0, 0.6, 800)], axis=1)
            return x, (x[:, 1] > np.sin(1.5 * x[:, 0])).astype(int)

        (source, labels), (target, truth) = draw(-0.8), draw(0.8)
        weights = estimate_ratios(source, target, seed=seed).weights
        plain = LogisticRegression().fit(source, labels).score(target, truth)
        weighted = LogisticRegression().fit(source, labels, sample_weight=weights)
        gains.append(weighted.score(target, truth) - plain)
    assert min(gains) > 0.01
    assert np.mean(gains) > 0.03
