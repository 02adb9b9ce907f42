"""Values against scikit-learn, and how they are shown."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn import metrics as reference

from tfxfer.evaluation import (
    ClassFigures,
    Figures,
    MultilabelFigures,
    ValueFigures,
    format_metrics,
    headline,
)
from tfxfer_heads import Classification, Regression

from .scored import (
    check_figure,
    make_classes,
    make_labels,
    score_classes,
    score_labels,
    score_values,
)


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
    start = time.thread_time()
    score_classes(targets, scores, resamples=1000)
    assert time.thread_time() - start < 2


# ------------------------------------------------------------- intervals


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
