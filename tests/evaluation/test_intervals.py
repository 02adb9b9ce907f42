"""Coverage of the intervals by simulation, and differences of two models."""

from __future__ import annotations

import numpy as np
import pytest

from tfxfer.errors import UsageError
from tfxfer.evaluation import (
    paired_difference,
    score_predictions,
)
from tfxfer_heads import Classification, Multilabel, Regression

from .scored import make_classes, make_labels, score_classes, score_values

SIMULATIONS = 200
# Of 1,000 splits of 60 to 100 images the intervals hold the truth in 89 % (ROC-AUC of .99) to 96 %
# (accuracy), and intervals of half their width in at most 73 %. 200 splits vary by .02 around that.
COVERAGE = (0.85, 0.995)


def count_covered(figures: list[dict[str, float]], truth: float, *, shrink: float = 1.0) -> float:
    """Share of intervals, shrunk around their value, that hold the truth."""
    held = [
        f["value"] + shrink * (f["low"] - f["value"])
        <= truth
        <= f["value"] + shrink * (f["high"] - f["value"])
        for f in figures
    ]
    return float(np.mean(held))


def check_coverage(figures: list[dict[str, float]], truth: float) -> None:
    low, high = COVERAGE
    assert low <= count_covered(figures, truth) <= high
    # The negative control: intervals of half the width must not pass.
    assert count_covered(figures, truth, shrink=0.5) < low


@pytest.mark.parametrize(("sizes", "signal"), [((50, 30, 20), 1.5), ((20, 20, 20), 2.5)])
def test_intervals_of_classification_hold_the_truth(sizes: tuple[int, ...], signal: float) -> None:
    names = ("accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "average_precision")
    large = tuple(400 * size for size in sizes)
    truth = score_classes(*make_classes(large, signal=signal, seed=10**6), resamples=1)
    found = [
        score_classes(*make_classes(sizes, signal=signal, seed=seed), seed=seed, resamples=200)
        for seed in range(SIMULATIONS)
    ]
    for name in names:
        check_coverage([document[name] for document in found], truth[name]["value"])


def test_interval_of_calibration_error_holds_that_of_a_calibrated_model() -> None:
    found = [
        score_classes(*make_classes((30, 30, 30), seed=seed), seed=seed, resamples=200)
        for seed in range(SIMULATIONS)
    ]
    # The model is calibrated by construction. Its measured error never is 0: that is the bias.
    assert min(document["calibration_error"]["value"] for document in found) > 0.01
    assert count_covered([document["calibration_error"] for document in found], 0.0) > 0.9


def test_interval_of_calibration_error_excludes_0_for_a_boastful_model() -> None:
    targets, scores = make_classes((100, 100, 100))
    scores = scores**4
    found = score_classes(targets, scores / scores.sum(axis=1, keepdims=True))
    assert found["calibration_error"]["low"] > 0.05


def test_intervals_of_regression_hold_the_truth() -> None:
    found = []
    for seed in range(SIMULATIONS):
        rng = np.random.default_rng(seed)
        targets = rng.normal(1000, 300, (80, 1))
        scores = targets + rng.normal(0, 100, targets.shape)
        found.append(score_values(targets, scores, seed=seed, resamples=200))
    check_coverage([document["mae"] for document in found], 100 * np.sqrt(2 / np.pi))
    check_coverage([document["rmse"] for document in found], 100)
    check_coverage([document["r2"] for document in found], 1 - 100**2 / 300**2)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_intervals_of_a_difference_hold_the_truth(metric: str) -> None:
    def make(images: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        targets, scores = make_classes((images,) * 3, seed=seed)
        noise = np.random.default_rng(seed + 10**6).normal(size=scores.shape)
        return targets, scores, scores + 0.25 * noise

    truth = paired_difference(
        *make(30_000, 10**5), head=Classification(), metric=metric, resamples=1
    )["value"]
    assert truth > 1
    found = [
        paired_difference(
            *make(50, seed), head=Classification(), metric=metric, seed=seed, resamples=200
        )
        for seed in range(SIMULATIONS)
    ]
    check_coverage(found, truth)


@pytest.mark.parametrize(("sizes", "floor"), [((15, 15), 0.886), ((990, 10), 0.911)])
def test_a_perfect_score_of_few_images_is_not_certain(sizes: tuple[int, ...], floor: float) -> None:
    targets = np.repeat(np.eye(2), sizes, axis=0)
    found = score_classes(targets, targets)
    for name in ("macro_f1", "balanced_accuracy", "roc_auc", "average_precision"):
        assert found[name] == {
            "value": pytest.approx(1),
            "low": pytest.approx(floor, abs=1e-3),
            "high": 1.0,
        }


# ---------------------------------------------------- paired differences


def test_a_worse_model_has_a_positive_drop() -> None:
    targets, scores = make_classes((100, 100))
    worse = 0.5 + 0.5 * (scores[:, ::-1] - 0.5)
    for metric in ("accuracy", "macro_f1", "roc_auc", "log_loss"):
        drop = paired_difference(targets, scores, worse, head=Classification(), metric=metric)
        back = paired_difference(targets, worse, scores, head=Classification(), metric=metric)
        assert 0 < drop["low"] <= drop["value"] <= drop["high"], metric
        assert back["value"] == -drop["value"]
    accuracy = [score_classes(targets, s)["accuracy"]["value"] for s in (scores, worse)]
    drop = paired_difference(targets, scores, worse, head=Classification())
    assert drop["value"] == pytest.approx(100 * (accuracy[0] - accuracy[1]))


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    targets, scores = make_classes((100, 100, 100))
    drop = paired_difference(targets, scores, scores.round(1), head=Classification())
    accuracy = score_classes(targets, scores)["accuracy"]
    assert drop["high"] - drop["low"] < 100 * (accuracy["high"] - accuracy["low"])


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "roc_auc"])
def test_equal_answers_on_few_images_prove_little(metric: str) -> None:
    widths = []
    for images in (25, 250):
        targets, scores = make_classes((images, images))
        drop = paired_difference(targets, scores, scores, head=Classification(), metric=metric)
        assert drop["value"] == 0
        assert drop["low"] < 0 < drop["high"]
        widths.append(drop["high"] - drop["low"])
    assert widths[0] > 5 * widths[1] > 0


def width(figure: dict[str, float]) -> float:
    return figure["high"] - figure["low"]


@pytest.mark.parametrize("sizes", [(150, 150), (290, 10)])
@pytest.mark.parametrize("changed", [0, 1, 20])
def test_views_of_one_image_are_no_further_images(sizes: tuple[int, int], changed: int) -> None:
    targets, scores = make_classes(sizes)
    worse = scores.copy()
    worse[: 10 * changed : 10] = 1 - targets[: 10 * changed : 10]
    single = paired_difference(targets, scores, worse, head=Classification())
    thrice = [np.repeat(rows, 3, axis=0) for rows in (targets, scores, worse)]
    alike = paired_difference(*thrice, head=Classification(), views=3)
    assert alike == pytest.approx(single)
    # The control: taken for images of their own they seem to tell more.
    assert width(paired_difference(*thrice, head=Classification())) < 0.7 * width(single)
    macro = [
        paired_difference(*rows, head=Classification(), metric="macro_f1", views=views)
        for rows, views in (((targets, scores, worse), 1), (thrice, 3))
    ]
    assert macro[1]["value"] == pytest.approx(macro[0]["value"])
    assert width(macro[1]) == pytest.approx(width(macro[0]), rel=0.1)


def test_rows_that_are_no_images_in_several_views() -> None:
    targets, scores = make_classes((150, 150))
    with pytest.raises(UsageError, match="views=7"):
        paired_difference(targets, scores, scores, head=Classification(), views=7)


def test_paired_differences_of_the_other_tasks() -> None:
    targets, scores = make_labels()
    drop = paired_difference(targets, scores, 1 - scores, head=Multilabel(), metric="exact_match")
    assert drop["low"] > 0
    values = np.linspace(0, 10, 50)[:, None]
    drop = paired_difference(values, values, values + 2, head=Regression(), metric="mae")
    assert drop == {key: pytest.approx(2) for key in ("value", "low", "high")}


@pytest.mark.parametrize("sizes", [(20, 30, 50), (33, 33, 33)])
def test_one_answer_to_every_sample_is_no_certain_figure(sizes: tuple[int, ...]) -> None:
    classes = len(sizes)
    targets = np.eye(classes)[np.repeat(np.arange(classes), sizes)]
    # Resamples of it differ by rounding alone, from which no size can be had.
    scores = np.tile(np.array([0.6, 0.2, 0.2], np.float32), (len(targets), 1))
    document = score_predictions(
        targets, scores, head=Classification(), labels=["a", "b", "c"], seed=0
    )
    for name in ("macro_f1", "balanced_accuracy", "average_precision"):
        figure = document[name]
        assert figure["low"] < figure["value"] - 0.03, name
        assert figure["high"] > figure["value"] + 0.03, name
