"""One temperature: against closed forms, and what is left alone."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError, RunError
from tfxfer.trust.likelihood import Likelihood, Link, measure_losses
from tfxfer.trust.temperature import (
    Calibration,
    compare_calibration,
    find_temperature,
    temper,
)


def two_classes(logit: float, *, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores of logits (logit, 0), and targets of which so many agree."""
    high = 1 / (1 + math.exp(-logit))
    scores = np.tile([[high, 1 - high]], (right + wrong, 1)).astype(np.float32)
    return scores, np.eye(2)[[0] * right + [1] * wrong]


def one_label(logit: float, *, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores of half positive, half negative answers, and targets of which some agree."""
    signs = np.where(np.arange(right + wrong) % 2, 1.0, -1.0)
    scores = (1 / (1 + np.exp(-logit * signs)))[:, None].astype(np.float32)
    targets = (signs > 0) == (np.arange(right + wrong) < right)
    return scores, targets[:, None].astype(float)


SURE = 6.635  # 99 % point of chi squared


def bernoulli_deviance(share: float, *, right: int, wrong: int) -> float:
    """Returns how much less likely a share is than the one that was seen."""

    def loss(p: float) -> float:
        return -right * math.log(p) - (wrong * math.log(1 - p) if wrong else 0.0)

    best = right / (right + wrong)
    return 2 * (loss(share) - (loss(best) if wrong else 0.0))


@pytest.mark.parametrize("make", [two_classes, one_label])
def test_of_two_answers_too_sure_ones_come_nearly_to_the_share_that_is_right(make: Any) -> None:
    scores, targets = make(4.0, right=30, wrong=10)
    link: Link = "softmax" if make is two_classes else "sigmoid"
    found = find_temperature(scores, targets, link=link)
    # sigmoid(logit / likeliest) = right / (right + wrong)
    likeliest = 4.0 / math.log(3)
    gain = bernoulli_deviance(1 / (1 + math.exp(-4)), right=30, wrong=10)
    assert found.value == pytest.approx(likeliest ** (1 - 1 / gain), rel=1e-5)
    assert found.value != pytest.approx(likeliest, rel=1e-3)
    assert found.reason == ""


@pytest.mark.parametrize("make", [two_classes, one_label])
@pytest.mark.parametrize("wrong", [10, 1, 0])
def test_of_two_answers_modest_ones_become_as_sure_as_their_interval_allows(
    make: Any, wrong: int
) -> None:
    scores, targets = make(0.5, right=90, wrong=wrong)
    link: Link = "softmax" if make is two_classes else "sigmoid"
    found = find_temperature(scores, targets, link=link)
    tempered = temper(scores, found.value, link=link)
    (share,) = set(np.maximum(tempered, 1 - tempered).round(6).ravel().tolist())
    assert 1 / (1 + math.exp(-0.5)) < share < 90 / (90 + wrong)
    assert bernoulli_deviance(share, right=90, wrong=wrong) == pytest.approx(SURE, abs=0.01)
    assert (found.reason != "") == (wrong == 0)


def test_right_answers_alone_have_a_closed_form() -> None:
    scores, targets = two_classes(1.0, right=38, wrong=0)
    found = find_temperature(scores, targets, link="softmax")
    share = math.exp(-SURE / 2 / 38)  # to the power of 38 it is that likely
    assert found.value == pytest.approx(1 / math.log(share / (1 - share)), rel=1e-5)
    assert found.reason == "as sure as 38 validation samples without a mistake allow"


def test_no_other_temperature_is_likelier_than_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 200)
    logits = rng.normal(0, 3, (200, 5)) + 4 * np.eye(5)[truth]
    likelihood = Likelihood(logits, np.eye(5)[truth], "softmax")
    found = likelihood.likeliest

    def loss(temperature: float) -> float:
        return float(measure_losses(logits / temperature, np.eye(5)[truth], "softmax").mean())

    assert 1.2 < found < 5
    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01), loss(1.0))
    assert likelihood.find_deviance(found) == 0
    for deviance in (0.5, SURE):
        end = likelihood.find_end(deviance)
        assert 1 < end < found
        assert likelihood.find_deviance(end) == pytest.approx(deviance, rel=1e-5)


def test_outputs_that_say_the_same_count_once() -> None:
    scores, targets = one_label(0.5, right=36, wrong=4)
    once = find_temperature(scores, targets, link="sigmoid").value
    thrice = find_temperature(np.tile(scores, 3), np.tile(targets, 3), link="sigmoid").value
    assert thrice == pytest.approx(once, rel=1e-5)
    # Those of as many samples more are worth more.
    more = find_temperature(np.tile(scores, (3, 1)), np.tile(targets, (3, 1)), link="sigmoid").value
    assert more < once * 0.95


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("logit", "right", "wrong", "words"),
    [
        (2.0, 15, 4, "19 validation samples are too few"),
        (2.0, 10, 30, "no better than chance"),
        (9.0, 40, 0, "40 validation samples without a mistake ask for none beyond chance"),
        (2.0, 35, 5, r"that which 40 validation samples ask for \(1.03\) may be chance"),
        (1.5, 38, 2, r"that which 40 validation samples ask for \(0.509\) may be chance"),
    ],
)
@pytest.mark.parametrize("make", [two_classes, one_label])
def test_what_is_left_alone(make: Any, logit: float, right: int, wrong: int, words: str) -> None:
    scores, targets = make(logit, right=right, wrong=wrong)
    found = find_temperature(scores, targets, link="softmax" if make is two_classes else "sigmoid")
    assert found.value == 1
    assert re.search(words, found.reason)


def test_a_calibrated_model_gets_a_temperature_near_1_and_a_boastful_one_does_not() -> None:
    rng = np.random.default_rng(1)
    scores = softmax(rng.normal(0, 2, (4000, 4)))
    truth = (rng.random((4000, 1)) > scores.cumsum(axis=1)).sum(axis=1)
    targets = np.eye(4)[truth]
    assert find_temperature(scores, targets, link="softmax").value == pytest.approx(1, abs=0.05)
    boastful = temper(scores, 1 / 3, link="softmax")
    found = find_temperature(boastful, targets, link="softmax").value
    assert found == pytest.approx(3, abs=0.15)
    compared = compare_calibration(
        boastful, temper(boastful, found, link="softmax"), targets, link="softmax"
    )
    assert compared.before.calibration_error.low > 0.1
    assert compared.after.calibration_error.value < 0.03
    assert compared.after.log_loss.high < compared.before.log_loss.low


@pytest.mark.parametrize("temperature", [0.05, 0.7, 20.0])
def test_answers_stay(temperature: float) -> None:
    rng = np.random.default_rng(2)
    scores = softmax(rng.normal(0, 5, (300, 7))).astype(np.float32)
    tempered = temper(scores, temperature, link="softmax")
    assert (tempered.argmax(axis=1) == scores.argmax(axis=1)).all()
    assert tempered.sum(axis=1) == pytest.approx(1, abs=1e-6)
    labels = rng.random((300, 3)).astype(np.float32)
    assert ((temper(labels, temperature, link="sigmoid") > 0.5) == (labels > 0.5)).all()


def test_probabilities_of_0_and_1_stay_finite() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    for link in ("softmax", "sigmoid"):
        assert np.isfinite(temper(scores, 0.05, link=link)).all()
        found = find_temperature(np.tile(scores, (20, 1)), np.tile(scores, (20, 1)), link=link)
        assert found.value == 1


def test_figures_by_hand() -> None:
    # Three of four right at 0.8; then at 0.75, which is calibrated.
    scores, targets = two_classes(math.log(4), right=3, wrong=1)
    after = np.tile([[0.75, 0.25]], (4, 1))
    found = compare_calibration(scores, after, targets, link="softmax")
    assert found.samples == 4
    assert found.before.calibration_error.value == pytest.approx(0.05, abs=1e-6)
    assert found.after.calibration_error.value == pytest.approx(0)
    assert found.before.log_loss.value == pytest.approx(-(3 * math.log(0.8) + math.log(0.2)) / 4)
    # Of two labels each answer counts by itself.
    scores = np.array([[0.9, 0.4]])
    found = compare_calibration(scores, scores, np.array([[1.0, 1.0]]), link="sigmoid")
    assert found.before.calibration_error.value == pytest.approx((0.1 + 0.6) / 2)
    assert found.before.log_loss.value == pytest.approx(-(math.log(0.9) + math.log(0.4)) / 2)


def test_a_record_is_read_back_and_no_other_is() -> None:
    scores, targets = two_classes(4.0, right=30, wrong=10)
    split = compare_calibration(scores, temper(scores, 3, link="softmax"), targets, link="softmax")
    record = Calibration(3.0, split, split)
    assert Calibration.from_dict(record.to_dict()) == record
    assert Calibration.from_dict(Calibration(1.0, split, None, "none").to_dict()).test is None
    broken = record.to_dict()
    broken["val"]["before"]["log_loss"]["value"] = "much"
    with pytest.raises(RunError, match=r"calibration: expected a number as val.before.log_loss"):
        Calibration.from_dict(broken)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected probabilities 0..1 as scores. Received: -1"):
        find_temperature(np.array([[-1.0, 2.0]]), np.array([[1.0, 0.0]]), link="softmax")
    with pytest.raises(DataError, match=r"scores=\(1, 2\), targets=\(2, 2\)"):
        find_temperature(np.ones((1, 2)), np.eye(2), link="softmax")
