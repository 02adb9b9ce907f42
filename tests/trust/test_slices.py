"""How groups fare: the worst is the one that is most surely bad, in any task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.evaluation import score_predictions
from tfxfer.evaluation.intervals import subtract, wilson
from tfxfer.trust.slice_words import describe_slices
from tfxfer.trust.slices import SliceReport, measure_slices
from tfxfer_heads import Classification, Regression


def answer(right: dict[str, tuple[int, int]]) -> tuple[Any, Any, dict[str, list[str]]]:
    """Returns targets and scores of two classes, of each group so many right of so many."""
    targets, scores, cells = [], [], []
    for name, (hits, count) in right.items():
        for number in range(count):
            true = number % 2
            targets.append(np.eye(2)[true])
            scores.append(np.eye(2)[true if number < hits else 1 - true] * 0.8 + 0.1)
            cells.append(name)
    return np.array(targets), np.array(scores), {"site": cells}


def measure(right: dict[str, tuple[int, int]], **options: Any) -> SliceReport:
    targets, scores, slices = answer(right)
    head, labels = Classification(), ("ant", "bee")
    metrics = score_predictions(targets, scores, head=head, labels=labels, resamples=10)
    return measure_slices(
        targets, scores, slices, head=head, labels=labels, metrics=metrics, **options
    )


def test_each_group_has_the_heads_figures() -> None:
    (column,) = measure({"A": (70, 80), "B": (20, 40), "": (1, 3)}).columns
    assert [group.value for group in column.groups] == ["B", "A"]
    assert (column.worst, column.unknown) == ("B", 3)
    group = column.groups[0]
    assert group.samples == 40
    assert group.metrics["accuracy"].to_dict() == wilson(20, 40)
    assert {"macro_f1", "roc_auc", "balanced_accuracy"} <= set(group.metrics)
    # The first 20 of 40 are right: 10 of 20 of each class.
    assert group.recalls["bee"].to_dict() == wilson(10, 20)
    assert group.recall is not None
    assert group.recall.value == pytest.approx(group.metrics["balanced_accuracy"].value)
    # Nothing is known of three: they are no group, and none of the others.
    assert group.behind is not None
    assert group.behind.to_dict() == subtract(wilson(70, 80), wilson(20, 40))
    assert group.is_surely_behind
    assert not column.groups[1].is_surely_behind
    assert column.fairness.gaps["equal_opportunity"].value == pytest.approx(0.375)


def test_few_samples_alone_make_no_group_the_worst() -> None:
    report = measure({"A": (90, 100), "B": (75, 100), "few": (1, 2), "all wrong": (0, 8)})
    (column,) = report.columns
    # Of the two wholly wrong ones in eight, even the best case is bad; of one in two it is not.
    assert [group.value for group in column.groups] == ["all wrong", "B", "few", "A"]
    assert [group.is_small for group in column.groups] == [True, False, True, False]
    assert column.worst == "all wrong"
    assert measure({"A": (90, 100), "few": (1, 2)}).columns[0].worst == "A"
    assert measure({"few": (1, 2), "fewer": (2, 2)}).columns[0].worst is None
    words = describe_slices(report, Classification(), plural="photos")
    assert words[0] == "accuracy by site, worst first"
    assert "8 photos; surely behind the others, by" in words[1]
    assert words[1].endswith("fewer than 20: too few to be judged")


def test_less_is_better_where_the_figure_says_so() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(120, 1))
    spread = np.repeat([0.1, 1.0, 0.1], 40)[:, None]
    scores = targets + spread * rng.normal(size=(120, 1))
    cells = ["A"] * 40 + ["B"] * 40 + ["C"] * 40
    head = Regression()
    metrics = score_predictions(targets, scores, head=head, labels=["v"], resamples=10)
    report = measure_slices(
        targets, scores, {"site": cells}, head=head, labels=["v"], metrics=metrics
    )
    (column,) = report.columns
    assert column.groups[0].value == column.worst == "B"
    assert column.groups[0].is_surely_behind
    assert column.groups[0].recall is None
    assert "in no groups" in column.fairness.reason
    assert any("no gaps" in line for line in describe_slices(report, head))


def test_records_go_round(tmp_path: Path) -> None:
    report = measure({"A": (30, 40), "B": (20, 40)}, data="test")
    assert SliceReport.read(tmp_path / "trust") is None
    report.write(tmp_path / "trust")
    assert SliceReport.read(tmp_path / "trust") == report
