"""One temperature: against closed forms, and what is left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError, RunError
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


@pytest.mark.parametrize("make", [two_classes, one_label])
@pytest.mark.parametrize(("logit", "right", "wrong"), [(4.0, 30, 10), (0.5, 90, 10)])
def test_of_two_answers_the_confidence_becomes_the_share_that_is_right(
    make: Any, logit: float, right: int, wrong: int
) -> None:
    scores, targets = make(logit, right=right, wrong=wrong)
    link = "softmax" if make is two_classes else "sigmoid"
    found = find_temperature(scores, targets, link=link)
    # sigmoid(logit / temperature) = right / (right + wrong)
    assert found.value == pytest.approx(logit / math.log(right / wrong), rel=1e-5)
    assert found.reason == ""
    tempered = temper(scores, found.value, link=link)
    confidence = np.maximum(tempered, 1 - tempered)
    assert confidence == pytest.approx(right / (right + wrong), abs=1e-5)
    assert not np.allclose(np.maximum(scores, 1 - scores), right / (right + wrong), atol=1e-5)


def test_no_other_temperature_is_likelier() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 200)
    logits = rng.normal(0, 3, (200, 5)) + 4 * np.eye(5)[truth]
    scores, targets = temper(softmax(logits), 1.0, link="softmax"), np.eye(5)[truth]
    found = find_temperature(scores, targets, link="softmax").value

    def loss(temperature: float) -> float:
        p = softmax(logits / temperature)
        return float(-np.log(p[np.arange(200), truth]).mean())

    assert 1.2 < found < 5
    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01), loss(1.0))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("make", [two_classes, one_label])
def test_where_all_are_right_one_more_counts_as_wrong(make: Any) -> None:
    scores, targets = make(1.0, right=38, wrong=0)
    found = find_temperature(scores, targets, link="softmax" if make is two_classes else "sigmoid")
    # sigmoid(1 / temperature) = 39 / 40, of which 39 / 1 are the odds
    assert found.value == pytest.approx(1 / math.log(39), rel=1e-5)
    assert "as if one more sample were wrong" in found.reason


@pytest.mark.parametrize(
    ("logit", "right", "wrong", "words"),
    [
        (2.0, 15, 4, "19 validation samples are too few"),
        (2.0, 10, 30, "no better than chance"),
        (9.0, 40, 0, "none makes"),  # surer than 40 of 40 allow, and yet likelier than with less
    ],
)
@pytest.mark.parametrize("make", [two_classes, one_label])
def test_what_is_left_alone(make: Any, logit: float, right: int, wrong: int, words: str) -> None:
    scores, targets = make(logit, right=right, wrong=wrong)
    found = find_temperature(scores, targets, link="softmax" if make is two_classes else "sigmoid")
    assert found.value == 1
    assert words in found.reason


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
        assert np.isfinite(temper(scores, 0.05, link=link)).all()  # type: ignore[arg-type]
        found = find_temperature(np.tile(scores, (20, 1)), np.tile(scores, (20, 1)), link=link)  # type: ignore[arg-type]
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
