"""What made-up courses of a training are called, and what healthy ones are not."""

from __future__ import annotations

import math

import pytest

from tfxfer.trust.course import (
    find_collapse,
    find_divergence,
    find_falling_slice,
    find_overfitting,
    find_plateau,
    may_have_collapsed,
)

FALLING = [1.1, 0.8, 0.65, 0.55, 0.5, 0.47, 0.45, 0.44, 0.435, 0.432, 0.43]


@pytest.mark.parametrize("last", [math.nan, math.inf])
def test_a_loss_that_is_no_number_diverges_at_once(last: float) -> None:
    found = find_divergence([1.0, last])
    assert found is not None
    assert str(last) in found


@pytest.mark.parametrize(
    ("losses", "diverges"),
    [
        (FALLING, False),
        ([1.0, 2.5, 3.0, 4.0], True),  # from the first epoch on
        ([1.0, 0.4, 0.9, 0.9, 0.9], True),
        ([1.0, 0.4, 0.9, 0.9, 0.7], False),  # 0.7 is under twice 0.4
        ([1.0, 0.4, 0.9, 0.9], False),  # two epochs may be luck
        ([1.0, 0.01, 0.04, 0.05, 0.06], False),  # twice next to nothing is nothing
    ],
)
def test_divergence(losses: list[float], diverges: bool) -> None:
    assert (find_divergence(losses) is not None) == diverges


@pytest.mark.parametrize(
    ("val", "overfits"),
    [
        ([1.0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.8], True),
        ([1.0, 0.6, 0.65, 0.7, 0.75, 0.8], False),  # four epochs ago
        ([1.0, 0.6, 0.61, 0.62, 0.63, 0.64, 0.65], False),  # a little
        ([1.0, 0.6, 0.6, 0.6, 0.6, 0.6, 2.0], False),  # one epoch of bad luck
        ([1.0, 0.01, 0.02, 0.02, 0.03, 0.03, 0.03], False),  # thrice next to nothing
        (FALLING[:7], False),
    ],
)
def test_overfitting(val: list[float], overfits: bool) -> None:
    losses = [1.0, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert (find_overfitting(losses[: len(val)], val) is not None) == overfits
    # Where the training loss does not fall either, it is something else.
    assert find_overfitting([0.6] * len(val), val) is None


def test_a_plateau_is_one_of_a_training_that_has_fitted_little() -> None:
    flat = [0.9, *[0.7] * 8]

    def find(**changed: object) -> str | None:
        options = {"losses": flat, "val": flat, "rates": [1e-3] * 9, "fitted": 0.5} | changed
        return find_plateau(
            options["losses"],  # type: ignore[arg-type]
            options["val"],  # type: ignore[arg-type]
            rates=options["rates"],  # type: ignore[arg-type]
            fitted=options["fitted"],  # type: ignore[arg-type]
        )

    assert find() is not None
    assert find(fitted=0.95) is None
    assert find(rates=[1e-3] * 7 + [1e-4] * 2) is None  # a schedule that ends
    assert find(losses=FALLING[:9]) is None
    assert find(losses=[1.0, *[0.5] * 4, *[0.9] * 4]) is None  # it rises
    assert find(losses=[1.0, *[0.5] * 4, *[0.501] * 4]) is not None
    assert find(val=[0.9] * 8 + [0.6]) is None  # validation still gets better
    assert find(losses=flat[:8], val=flat[:8]) is None  # too early
    assert find(fitted=None) is not None
    assert find(fitted=None, losses=[2.0, *[0.7] * 8]) is None


def test_a_score_of_one_label_is_suspect_and_another_is_not() -> None:
    truths = ["ant"] * 6 + ["bee"] * 3 + ["cat"]
    assert may_have_collapsed([0.2, 0.6, 0.6, 0.6], truths, is_share=True)
    assert may_have_collapsed([0.6, 0.3, 0.1], truths, is_share=True)  # from one to the next
    assert not may_have_collapsed([0.6, 0.6], truths, is_share=True)
    assert not may_have_collapsed([0.6, 0.6, 0.7], truths, is_share=True)
    assert not may_have_collapsed([1.0] * 5, ["ant"] * 5, is_share=True)
    assert may_have_collapsed([0.31, 0.31, 0.31], truths, is_share=False)
    assert not may_have_collapsed([0.31, 0.31, 0.30], truths, is_share=False)


@pytest.mark.parametrize(("others", "collapsed"), [(0, True), (1, True), (2, False), (10, False)])
def test_a_collapse_is_measured_by_how_rare_the_others_are(others: int, collapsed: bool) -> None:
    # 100 samples, 70 of them ants: 30 others, of which 5 % are 1.5.
    truths, answers = ["ant"] * 70 + ["bee"] * 30, ["ant"] * (100 - others) + ["bee"] * others
    assert (find_collapse(answers, truths) is not None) == collapsed
    assert find_collapse(["ant"] * 100, ["ant"] * 100) is None


def test_a_slice_falls_by_more_than_luck() -> None:
    sizes, overall = {"day": 200, "night": 50}, [0.80, 0.82, 0.84, 0.85]
    day = [0.80, 0.84, 0.90, 0.92]

    def find(night: list[float], overall: list[float] = overall) -> str | None:
        found = find_falling_slice({"day": day, "night": night}, sizes, overall)
        return None if found is None else found[0]

    assert find([0.80, 0.80, 0.40, 0.40]) == "night"
    assert find([0.80, 0.80, 0.70, 0.70]) is None
    assert find([0.80, 0.80, 0.80, 0.40]) is None  # one epoch
    assert find([0.80, 0.80, 0.40, 0.40], overall=[0.8, 0.8, 0.5, 0.5]) is None  # all fall
