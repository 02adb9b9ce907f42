"""Tables and matrices of a result, as a page shows them."""

from __future__ import annotations

import numpy as np

from tfxfer.evaluation import ClassFigures, MultilabelFigures, ValueFigures, score_predictions
from tfxfer_heads import Classification, Multilabel, Regression

LABELS = ("ant", "bee", "cat")


def test_classes() -> None:
    true, said = [0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 0]
    targets, scores = np.eye(3)[true], np.eye(3)[said]
    document = score_predictions(targets, scores, head=Classification(), labels=LABELS, resamples=9)
    (table,) = ClassFigures.tables(document)
    # ant: found 1 of 3, 1 of 2 answers right, F1 2/5; bee: 2 of 2, 2 of 4, F1 4/6; cat: none.
    assert table.rows == (
        ("cat", "0.0 %", "none", "0.0 %", "1"),
        ("ant", "33.3 %", "50.0 %", "40.0 %", "3"),
        ("bee", "100.0 %", "50.0 %", "66.7 %", "2"),
    )
    assert all(len(row) == len(table.columns) for row in table.rows)
    matrix = ClassFigures.matrix(document)
    assert matrix.labels == LABELS
    assert matrix.counts == ((1, 2, 0), (0, 2, 0), (1, 0, 0))
    assert matrix.list_confusions() == [(2, 3, "ant", "bee"), (1, 1, "cat", "ant")]


def test_labels_without_samples_have_no_row() -> None:
    targets = np.array([[1, 0], [1, 0]])
    document = score_predictions(
        targets, targets * 0.9, head=Multilabel(), labels=("a", "b"), resamples=9
    )
    (table,) = MultilabelFigures.tables(document)
    assert [row[0] for row in table.rows] == ["a"]
    assert MultilabelFigures.matrix(document) is None


def test_numbers_have_a_row_for_each_of_several_outputs() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(0, 1, (12, 2))
    head = Regression()
    two = score_predictions(
        targets, targets + np.array([1, 0]), head=head, labels=("x", "y"), resamples=9
    )
    (table,) = ValueFigures.tables(two)
    assert [row[0] for row in table.rows] == ["x", "y"]
    assert table.columns[1] == "mean absolute error"
    assert [row[1].partition(" ")[0] for row in table.rows] == ["1", "0"]
    one = score_predictions(targets[:, :1], targets[:, :1], head=head, labels=("x",), resamples=9)
    assert ValueFigures.tables(one) == []
    assert ValueFigures.matrix(one) is None
