"""Figures that a split does not have, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.evaluation import (
    headline,
    paired_difference,
    score_predictions,
)
from tfxfer_heads import Classification, Multilabel, Regression

from .scored import make_classes, make_labels, score_classes, score_labels, score_values


def test_a_metric_that_is_not_there_is_named() -> None:
    targets, scores = make_classes((5, 5))
    with pytest.raises(UsageError, match="metric='f1'"):
        paired_difference(targets, scores, scores, head=Classification(), metric="f1")
    with pytest.raises(UsageError, match="all samples are of one class"):
        paired_difference(
            targets[:5], scores[:5], scores[:5], head=Classification(), metric="roc_auc"
        )


# --------------------------------------------------- what makes no sense


def test_one_class_in_the_split_has_no_curve() -> None:
    targets, scores = make_classes((20, 20, 20))
    found = score_classes(targets[:20], scores[:20])
    assert "roc_auc" not in found
    assert "average_precision" not in found
    assert any("one class, 'class 0'" in note for note in found["notes"])
    assert any("no samples of ['class 1', 'class 2']" in note for note in found["notes"])
    assert found["per_class"][1]["recall"] is None
    assert found["macro_f1"]["value"] == pytest.approx(found["per_class"][0]["f1"])


def test_a_class_never_predicted_has_no_precision_and_recall_0() -> None:
    found = score_classes(np.eye(2)[[0, 0, 1]], np.array([[0.9, 0.1]] * 3))
    row = found["per_class"][1]
    assert (row["precision"], row["recall"], row["f1"], row["images"]) == (None, 0.0, 0.0, 1)
    assert any("without a precision: class 1" in note for note in found["notes"])
    assert any("3 samples" in note for note in found["notes"])


def test_logits_have_no_calibration_error() -> None:
    targets, scores = make_classes((20, 20))
    found = score_classes(targets, np.log(scores))
    assert "calibration_error" not in found
    assert "log_loss" not in found
    assert any("not probabilities" in note for note in found["notes"])
    assert found["accuracy"] == score_classes(targets, scores)["accuracy"]


def test_a_quantized_0_has_a_finite_log_loss() -> None:
    found = score_classes(np.eye(2)[[0, 1]], np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert found["log_loss"]["value"] == pytest.approx(-np.log(1e-7) / 2)


def test_a_split_without_any_label() -> None:
    nothing = np.zeros((30, 2))
    found = score_labels(nothing, nothing)
    assert found["accuracy"]["value"] == found["exact_match"]["value"] == 1
    assert found["accuracy"]["low"] < 1
    assert not {"macro_f1", "micro_f1", "roc_auc", "average_precision"} & set(found)
    assert sum("left out" in note for note in found["notes"]) == 4
    assert headline(found)[0] == "accuracy"


def test_a_label_that_resamples_may_miss() -> None:
    targets, scores = make_labels(images=40)
    targets[:, 0] = 0
    targets[0, 0] = 1
    found = score_labels(targets, scores)
    json.dumps(found, allow_nan=False)
    assert found["macro_f1"]["low"] < found["macro_f1"]["value"]


@pytest.mark.parametrize("images", [1, 12])
def test_equal_true_values_have_no_r2(images: int) -> None:
    targets = np.full((images, 1), 0.1)
    found = score_values(targets, targets + 1)
    assert "r2" not in found
    assert found["mae"]["value"] == pytest.approx(1)
    assert any("same true value" in note for note in found["notes"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("head", [Classification, Multilabel, Regression])
def test_scores_that_are_not_finite_are_the_models_fault(head: Any, bad: float) -> None:
    targets, scores = make_classes((5, 5))
    scores[3, 0] = bad
    with pytest.raises(ModelError, match=r"1 of 10 samples .* the first is sample 3"):
        score_predictions(targets, scores, head=head(), labels=["a", "b"])


@pytest.mark.parametrize(
    ("targets", "scores", "head"),
    [
        (np.eye(2), np.ones((3, 2)), Classification),
        (np.eye(3), np.ones((3, 3)), Classification),
        (np.ones(2), np.ones(2), Classification),
        (np.ones((0, 2)), np.ones((0, 2)), Classification),
        (np.ones((2, 2)), np.ones((2, 2)), Classification),
        (np.full((2, 2), 0.5), np.ones((2, 2)), Multilabel),
        (np.full((2, 2), np.nan), np.ones((2, 2)), Regression),
    ],
)
def test_targets_that_do_not_fit_are_refused(
    targets: np.ndarray, scores: np.ndarray, head: Any
) -> None:
    with pytest.raises(DataError, match=r"evaluation: expected .* Received: "):
        score_predictions(targets, scores, head=head(), labels=["a", "b"])


def test_no_resamples_are_refused() -> None:
    with pytest.raises(UsageError, match="resamples=0"):
        score_values(np.eye(2), np.eye(2), resamples=0)


# --------------------------------------------------------------- display
