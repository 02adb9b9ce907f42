"""Metrics of predictions, each with a 95 % confidence interval; numpy only, no Keras."""

from __future__ import annotations

from tfxfer.evaluation.display import format_metrics, headline
from tfxfer.evaluation.scoring import paired_difference, score_predictions

__all__ = ["format_metrics", "headline", "paired_difference", "score_predictions"]
