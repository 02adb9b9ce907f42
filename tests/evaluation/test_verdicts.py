"""What is said of a result that answers without looking may give, too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ContractError
from tfxfer.evaluation import (
    Baseline,
    ClassFigures,
    ValueFigures,
    describe_metrics,
    find_warnings,
    score_predictions,
)
from tfxfer_heads import Classification, Multilabel, Regression


def classify(confusion: list[list[int]], labels: tuple[str, ...]) -> dict[str, Any]:
    """Returns the metrics of a confusion matrix, rows are the truth."""
    pairs = [
        (true, answer)
        for true, row in enumerate(confusion)
        for answer, count in enumerate(row)
        for _ in range(count)
    ]
    true, answer = np.array(pairs).T
    eye = np.eye(len(labels))
    return score_predictions(eye[true], eye[answer], head=Classification(), labels=labels)


@pytest.mark.parametrize(
    ("confusion", "labels", "words"),
    [
        ([[5, 5], [5, 5]], ("a", "b"), "guessing among 2 classes (50.0 %)"),
        # Worse than guessing is no better, either.
        ([[1, 9], [9, 1]], ("a", "b"), "guessing among 2 classes (50.0 %)"),
        # 81 % are right, and as many are of one class: the figure says nothing.
        ([[80, 1], [18, 1]], ("good", "bad"), "always answering 'good' (81.0 %)"),
    ],
    ids=["chance", "below", "majority"],
)
def test_an_accuracy_at_a_baseline(
    confusion: list[list[int]], labels: tuple[str, ...], words: str
) -> None:
    (found,) = find_warnings(classify(confusion, labels), Classification(), cause="too little")
    assert found["kind"] == "chance"
    assert found["message"].startswith("accuracy ")
    assert found["message"].endswith(f"cannot be told from {words}")
    assert found["cause"] == "too little"


def test_a_result_above_them_is_not_warned_of() -> None:
    metrics = classify([[19, 1], [2, 18]], ("a", "b"))
    assert find_warnings(metrics, Classification()) == []
    # The control: as many right on a tenth of the samples may be luck.
    few = classify([[2, 0], [1, 1]], ("a", "b"))
    assert [item["kind"] for item in find_warnings(few, Classification())] == ["chance"]


def test_samples_of_one_class_have_no_majority() -> None:
    metrics = classify([[19, 1], [0, 0]], ("a", "b"))
    assert find_warnings(metrics, Classification()) == []


def test_classes_that_are_never_the_answer() -> None:
    metrics = classify([[30, 0, 0], [0, 30, 0], [0, 4, 0]], ("ant", "bee", "cat"))
    (found,) = find_warnings(metrics, Classification())
    assert found["kind"] == "unpredicted_classes"
    assert found["message"] == "1 of 3 labels are never the answer: 'cat'"
    # A class without samples may well be silent.
    metrics = classify([[30, 0, 0], [0, 30, 0], [0, 0, 0]], ("ant", "bee", "cat"))
    assert find_warnings(metrics, Classification()) == []


def test_tags_that_everything_gets() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((60, 3)) < 0.5).astype(float)
    head, labels = Multilabel(), ("a", "b", "c")
    everything = score_predictions(targets, np.ones_like(targets), head=head, labels=labels)
    (found,) = find_warnings(everything, head)
    assert "giving every label to every sample" in found["message"]
    right = score_predictions(targets, targets, head=head, labels=labels)
    assert find_warnings(right, head) == []


def test_numbers_that_are_the_mean() -> None:
    targets = np.arange(20.0)[:, None]
    head, labels = Regression(), ("metres",)
    mean = score_predictions(targets, np.full_like(targets, 9.5), head=head, labels=labels)
    (found,) = find_warnings(mean, head)
    assert "cannot be told from always answering the mean (0.000)" in found["message"]
    near = score_predictions(targets, targets + 0.5, head=head, labels=labels)
    assert find_warnings(near, head) == []


def test_an_error_of_which_less_is_better() -> None:
    head = SimpleNamespace(
        name="mine",
        figures=ValueFigures,
        baselines=lambda _: [Baseline("mae", 5.0, "always answering 3")],
    )
    figure = {"value": 4.0, "low": 3.0, "high": 4.5}
    assert find_warnings({"mae": figure}, head) == []  # type: ignore[arg-type]
    (found,) = find_warnings({"mae": {**figure, "high": 5.5}}, head)  # type: ignore[arg-type]
    assert found["message"].endswith("always answering 3 (5)")


def test_baselines_of_what_is_no_metric_are_the_heads_fault() -> None:
    head = SimpleNamespace(
        name="mine", figures=ClassFigures, baselines=lambda _: [Baseline("acuracy", 0.5, "x")]
    )
    with pytest.raises(ContractError, match="head 'mine'"):
        find_warnings(classify([[1, 1], [1, 1]], ("a", "b")), head)  # type: ignore[arg-type]


# Words


def test_the_worst_class_comes_first_with_what_it_is_taken_for() -> None:
    labels = ("glass", "metal", "plastic")
    metrics = classify([[12, 0, 1], [1, 8, 0], [5, 1, 3]], labels)
    lines = describe_metrics(metrics, Classification(), noun="image", plural="images")
    assert lines[0].startswith("accuracy  74.2 %, between ")
    assert lines[1].startswith("macro-F1  ")
    assert lines[2].startswith("31 images: one image is 3.2 points; ")
    assert [line.split("  ", 1)[1].strip() for line in lines[-3:]] == [
        "plastic  3 of 9 right, 5 taken for glass, 1 taken for metal",
        "metal    8 of 9 right, 1 taken for glass",
        "glass    12 of 13 right, 1 taken for plastic",
    ]


def test_of_many_classes_only_the_worst_are_listed() -> None:
    labels = tuple(f"c{number:02}" for number in range(30))
    confusion = np.eye(30, dtype=int) * 3
    confusion[7, 8] = 2
    lines = describe_metrics(classify(confusion.tolist(), labels), Classification())
    assert lines[lines.index("worst first") + 1] == "  c07  3 of 5 right, 2 taken for c08"
    assert lines[-1] == "  and 20 more, better ones"


def test_tags_in_words() -> None:
    targets = np.array([[1, 0], [1, 1], [1, 0], [0, 1.0]])
    scores = np.array([[1, 0], [1, 1], [0, 1], [0, 1.0]])
    metrics = score_predictions(targets, scores, head=Multilabel(), labels=("ant", "bee"))
    lines = describe_metrics(metrics, Multilabel())
    assert lines[-2:] == ["  ant  2 of 3 found", "  bee  2 of 2 found, 1 false alarms"]


def test_numbers_in_words() -> None:
    targets = np.arange(20.0)[:, None]
    metrics = score_predictions(targets, targets + 0.5, head=Regression(), labels=("metres",))
    lines = describe_metrics(metrics, Regression())
    assert lines[0].startswith("mean absolute error  0.5, between ")
    assert lines[-1] == "20 samples: the ranges hold in 95 of 100 such tests"
