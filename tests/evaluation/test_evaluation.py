"""Values against scikit-learn, coverage of the intervals by simulation, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.evaluation import (
    ClassFigures,
    Figures,
    MultilabelFigures,
    ValueFigures,
    format_metrics,
    headline,
    paired_difference,
    score_predictions,
)
from tfxfer_heads import Classification, Multilabel, Regression

SIMULATIONS = 200
# Of 1,000 splits of 60 to 100 images the intervals hold the truth in 89 % (ROC-AUC of .99) to 96 %
# (accuracy), and intervals of half their width in at most 73 %. 200 splits vary by .02 around that.
COVERAGE = (0.85, 0.995)


def make_classes(
    sizes: tuple[int, ...], *, signal: float = 1.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One-hot targets and probabilities of a model that is calibrated for equal sizes."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(sizes)), sizes)
    logits = rng.normal(size=(len(true), len(sizes)))
    logits[np.arange(len(true)), true] += signal
    scores = np.exp(logits * signal)
    return np.eye(len(sizes))[true], scores / scores.sum(axis=1, keepdims=True)


def make_labels(seed: int = 0, *, images: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = (rng.random((images, 4)) < (0.1, 0.3, 0.5, 0.2)).astype(float)
    return targets, np.clip(0.4 * targets + 0.7 * rng.random(targets.shape), 0, 1)


def score_classes(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"class {k}" for k in range(targets.shape[1])]
    return score_predictions(targets, scores, head=Classification(), labels=labels, **options)


def score_labels(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"label {k}" for k in range(targets.shape[1])]
    head = Multilabel(**options.pop("head", {}))
    return score_predictions(targets, scores, head=head, labels=labels, **options)


def score_values(targets: np.ndarray, scores: np.ndarray, **options: Any) -> dict[str, Any]:
    labels = [f"value_{k + 1}" for k in range(targets.shape[1])]
    return score_predictions(targets, scores, head=Regression(), labels=labels, **options)


def check_figure(figure: dict[str, float], value: float) -> None:
    assert figure["value"] == pytest.approx(value, rel=1e-6)
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert figure["low"] < figure["high"]


# ---------------------------------------------------------------- values


def test_importing_imports_no_keras() -> None:
    code = (
        "import sys, tfxfer.evaluation\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("sizes", [(60, 40), (100, 50, 30), (40,) * 7])
@pytest.mark.parametrize("digits", [8, 1])
def test_classification_is_what_scikit_learn_says(sizes: tuple[int, ...], digits: int) -> None:
    targets, scores = make_classes(sizes)
    # One digit makes ties, which have to enter the curves together.
    scores = scores.round(digits)
    scores += 1e-3 * (scores.sum(axis=1, keepdims=True) == 0)
    true, answer = targets.argmax(axis=1), scores.argmax(axis=1)
    found = score_classes(targets, scores, resamples=100)

    check_figure(found["accuracy"], reference.accuracy_score(true, answer))
    check_figure(found["macro_f1"], reference.f1_score(true, answer, average="macro"))
    check_figure(found["balanced_accuracy"], reference.balanced_accuracy_score(true, answer))
    if len(sizes) == 2:
        check_figure(found["roc_auc"], reference.roc_auc_score(true, scores[:, 1]))
        precision = reference.average_precision_score(true, scores[:, 1])
    else:
        areas = [reference.roc_auc_score(targets[:, k], scores[:, k]) for k in range(len(sizes))]
        check_figure(found["roc_auc"], float(np.mean(areas)))
        precision = reference.average_precision_score(targets, scores, average="macro")
    check_figure(found["average_precision"], precision)
    assert found["confusion"] == reference.confusion_matrix(true, answer).tolist()
    rows = zip(*reference.precision_recall_fscore_support(true, answer), strict=True)
    for row, (precision, recall, f1, images) in zip(found["per_class"], rows, strict=True):
        assert [row[key] for key in ("precision", "recall", "f1", "images")] == pytest.approx(
            [precision, recall, f1, images]
        )
    assert found["images"] == sum(sizes)
    if len(sizes) > 5 and digits == 8:
        top = reference.top_k_accuracy_score(true, scores, k=5)
        check_figure(found["top_5_accuracy"], top)
    assert ("top_5_accuracy" in found) == (len(sizes) > 5)


def test_log_loss_is_what_scikit_learn_says() -> None:
    targets, scores = make_classes((50, 30, 20))
    found = score_classes(targets, scores, resamples=50)
    check_figure(found["log_loss"], reference.log_loss(targets.argmax(axis=1), scores))


def test_calibration_error_by_hand() -> None:
    # Two bins: .70 right half of the time, .90 always right. (.2 * 4 + .1 * 4) / 8 = .15.
    confidence = np.array([0.70] * 4 + [0.90] * 4)
    scores = np.stack([confidence, 1 - confidence], axis=1)
    targets = np.eye(2)[[0, 0, 1, 1, 0, 0, 0, 0]]
    assert score_classes(targets, scores)["calibration_error"]["value"] == pytest.approx(0.15)


def test_multilabel_is_what_scikit_learn_says() -> None:
    targets, scores = make_labels()
    answers = (scores > 0.6).astype(float)
    found = score_labels(targets, scores, head={"threshold": 0.6}, resamples=100)
    check_figure(found["accuracy"], float((targets == answers).mean()))
    check_figure(found["exact_match"], reference.accuracy_score(targets, answers))
    check_figure(found["micro_f1"], reference.f1_score(targets, answers, average="micro"))
    check_figure(found["macro_f1"], reference.f1_score(targets, answers, average="macro"))
    check_figure(found["roc_auc"], reference.roc_auc_score(targets, scores))
    check_figure(found["average_precision"], reference.average_precision_score(targets, scores))
    f1 = reference.f1_score(targets, answers, average=None)
    assert [row["f1"] for row in found["per_class"]] == pytest.approx(list(f1))


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_is_what_scikit_learn_says(outputs: int) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(1e5, 3, (200, outputs))
    scores = targets + rng.normal(0.3, 1, targets.shape)
    found = score_values(targets, scores)
    check_figure(found["mae"], reference.mean_absolute_error(targets, scores))
    check_figure(found["rmse"], reference.root_mean_squared_error(targets, scores))
    check_figure(found["r2"], reference.r2_score(targets, scores))
    assert ("per_output" in found) == (outputs > 1)
    for k, output in enumerate(found.get("per_output", [])):
        check_figure(output["r2"], reference.r2_score(targets[:, k], scores[:, k]))


def weigh_rights(figures: Figures, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {name: weights @ right / len(right) for name, right in figures.rights().items()}


def test_weights_are_what_repeating_the_images_is() -> None:
    """The bootstrap never repeats an image; its weights must mean the same."""
    from tfxfer.evaluation.intervals import resample

    targets, scores = make_classes((30, 20, 10))
    scores = scores.round(2)
    names = ["a", "b", "c"]
    many, many_scores = make_labels(images=60)
    values = np.random.default_rng(0).normal(size=(60, 2))
    tables = [
        lambda rows: ClassFigures(targets[rows], scores[rows], names),
        lambda rows: MultilabelFigures(many[rows], many_scores[rows], [*names, "d"], 0.5),
        lambda rows: ValueFigures(values[rows], values[rows] ** 2, names[:2]),
    ]
    for make in tables:
        table = make(np.arange(60))
        (weights,) = resample(table.strata, seed=3, resamples=5)
        assert weights.sum(axis=1).tolist() == [60] * 5
        weighted = {**table.sums(weights), **table.ranks(weights), **weigh_rights(table, weights)}
        for k, counts in enumerate(weights):
            repeated = make(np.repeat(np.arange(60), counts.astype(int)))
            once = np.ones((1, 60))
            alone = {
                **repeated.sums(once),
                **repeated.ranks(once),
                **weigh_rights(repeated, once),
            }
            for name, column in weighted.items():
                assert column[k] == pytest.approx(alone[name][0], rel=1e-5), name


def test_document_is_json_and_the_seed_decides_it() -> None:
    targets, scores = make_classes((40, 30, 30))
    first, again, other = (score_classes(targets, scores, seed=seed) for seed in (1, 1, 2))
    assert json.dumps(first, allow_nan=False) == json.dumps(again)
    assert first["macro_f1"]["value"] == other["macro_f1"]["value"]
    assert first["macro_f1"]["low"] != other["macro_f1"]["low"]


def test_five_thousand_images_take_less_than_two_seconds() -> None:
    targets, scores = make_classes((500,) * 10)
    start = time.process_time()
    score_classes(targets, scores, resamples=1000)
    assert time.process_time() - start < 2


# ------------------------------------------------------------- intervals


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


def test_rows_to_show() -> None:
    found = score_classes(*make_classes((40, 30, 30)))
    rows = dict(format_metrics(found, Classification()))
    figure = found["accuracy"]
    low, high = 100 * figure["low"], 100 * figure["high"]
    assert rows["accuracy"] == f"{100 * figure['value']:.1f} % [{low:.1f}, {high:.1f}]"
    assert list(rows)[:2] == ["accuracy", "macro-F1"]
    assert rows["ROC-AUC"].startswith("0.")
    assert headline(found) == ("accuracy", figure)


def test_rows_of_several_values() -> None:
    values = np.random.default_rng(0).normal(1000, 300, (50, 2))
    found = score_values(values, values + np.array([1, 100]))
    rows = dict(format_metrics(found, Regression()))
    assert rows["value_1: mean absolute error"] == "1 [1, 1]"
    assert rows["mean absolute error"] == "50.5 [50.5, 50.5]"
    assert headline(found)[0] == "mae"
    assert headline(score_labels(*make_labels()))[0] == "macro_f1"
