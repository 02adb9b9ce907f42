"""Metrics as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfxfer.evaluation.blame import blame_head

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["format_metrics", "headline"]


def headline(metrics: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Returns the one figure to show, and its name.

    Args:
        metrics: what `score_predictions` returned.

    Example:
        >>> headline({"headline": "mae", "mae": {"value": 1.5, "low": 1.0, "high": 2.0}})
        ('mae', {'value': 1.5, 'low': 1.0, 'high': 2.0})
    """
    name = metrics["headline"]
    return name, dict(metrics[name])


def format_metrics(metrics: Mapping[str, Any], head: Head) -> list[tuple[str, str]]:
    """Returns one row per figure: its name, and its value with the interval in brackets.

    Args:
        metrics: what `score_predictions` returned.
        head: the task that was scored.

    Raises:
        ContractError: the head's figures cannot say how they read.
    """
    with blame_head(head):
        return head.figures.rows(metrics)
