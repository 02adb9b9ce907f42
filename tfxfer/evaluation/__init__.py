"""Metrics of predictions, each with a 95 % confidence interval; numpy only, no Keras.

A head names the figures that score it: one of the three classes here, a subclass of one, or of
`Figures` itself.
"""

from __future__ import annotations

from tfxfer.evaluation.classes import ClassFigures
from tfxfer.evaluation.display import format_metrics, headline
from tfxfer.evaluation.figures import Baseline, Figures, Metric, Sums
from tfxfer.evaluation.multilabel import MultilabelFigures
from tfxfer.evaluation.pairs import paired_difference
from tfxfer.evaluation.scoring import score_predictions
from tfxfer.evaluation.tables import Matrix, Table
from tfxfer.evaluation.values import ValueFigures
from tfxfer.evaluation.verdicts import find_warnings
from tfxfer.evaluation.words import describe_metrics

__all__ = [
    "Baseline",
    "ClassFigures",
    "Figures",
    "Matrix",
    "Metric",
    "MultilabelFigures",
    "Sums",
    "Table",
    "ValueFigures",
    "describe_metrics",
    "find_warnings",
    "format_metrics",
    "headline",
    "paired_difference",
    "score_predictions",
]
