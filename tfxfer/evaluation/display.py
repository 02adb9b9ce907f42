"""Metrics as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["format_metrics", "headline"]

_HEADLINES = {"classification": "accuracy", "multilabel": "macro_f1", "regression": "mae"}
_NAMES = {
    "accuracy": "accuracy",
    "top_5_accuracy": "top-5 accuracy",
    "exact_match": "all labels right",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "balanced_accuracy": "balanced accuracy",
    "calibration_error": "calibration error",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
}
_PERCENT = (
    "accuracy",
    "top_5_accuracy",
    "exact_match",
    "macro_f1",
    "micro_f1",
    "balanced_accuracy",
    "calibration_error",
)


def headline(metrics: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Returns the one figure to show: accuracy, macro-F1 (multilabel) or mean absolute error.

    Multilabel accuracy is no headline: with few labels an image, answering "none" scores high.
    Where no image has a label, it is all there is.

    Args:
        metrics: what `score_predictions` returned.
    """
    name = _HEADLINES[metrics["task"]]
    name = name if name in metrics else "accuracy"
    return name, dict(metrics[name])


def format_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns one row per figure: its name, and its value with the interval in brackets.

    Example:
        >>> format_metrics({"accuracy": {"value": 0.941, "low": 0.92, "high": 0.957}})
        [('accuracy', '94.1 % [92.0, 95.7]')]
    """
    rows = [
        (title, _format_figure(name, metrics[name]))
        for name, title in _NAMES.items()
        if name in metrics
    ]
    for output in metrics.get("per_output", []):
        rows += [
            (f"{output['label']}: {title}", _format_figure(name, output[name]))
            for name, title in _NAMES.items()
            if name in output
        ]
    return rows


def _format_figure(name: str, figure: Mapping[str, float]) -> str:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if name in _PERCENT:
        return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    if name in ("mae", "rmse"):
        return f"{value:.4g} [{low:.4g}, {high:.4g}]"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
