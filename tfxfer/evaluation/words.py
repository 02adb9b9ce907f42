"""A result in words that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfxfer.evaluation.blame import blame_head

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["describe_metrics"]

_LABELS = 10
"""Lines of labels that are shown; the worst come first, and the rest is in the document."""


def describe_metrics(
    metrics: Mapping[str, Any], head: Head, *, noun: str = "sample", plural: str = "samples"
) -> list[str]:
    r"""Returns lines for a person: the leading figures, what one sample is worth, the worst labels.

    Args:
        metrics: what `score_predictions` returned.
        head: the task that was scored.
        noun: what one sample is called.
        plural: and several.

    Raises:
        ContractError: the head's figures cannot say how they read.

    Example:
        >>> from types import SimpleNamespace
        >>> from tfxfer.evaluation import ClassFigures
        >>> print(*describe_metrics({
        ...     "headline": "accuracy", "accuracy": {"value": 0.5, "low": 0.2, "high": 0.8},
        ...     "labels": ["ant", "bee"], "confusion": [[3, 1], [3, 1]], "images": 8,
        ... }, SimpleNamespace(figures=ClassFigures), plural="photos", noun="photo"), sep="\n")
        accuracy  50.0 %, between 20.0 and 80.0 %
        8 photos: one photo is 12.5 points; the ranges hold in 95 of 100 such tests
        worst first
          bee  1 of 4 right, 3 taken for ant
          ant  3 of 4 right, 1 taken for bee
    """
    with blame_head(head):
        figures = head.figures
        names = [name for name in figures.leading if name in metrics] or [metrics["headline"]]
        width = max(len(figures.catalogue[name].title) for name in names)
        lines = [
            f"{figures.catalogue[name].title.ljust(width)}  "
            f"{figures.catalogue[name].read(metrics[name])}"
            for name in names
        ]
        count = metrics["images"]
        worth = ""
        if any(name in figures.counted for name in names):
            worth = f"one {noun} is {100 / count:.1f} points; "
        lines.append(
            f"{count:,} {noun if count == 1 else plural}: {worth}"
            "the ranges hold in 95 of 100 such tests"
        )
        words = figures.label_words(metrics)
    if words:
        lines.append("worst first")
        shown = words[:_LABELS]
        width = max(len(label) for label, _ in shown)
        lines += [f"  {label.ljust(width)}  {text}" for label, text in shown]
        if len(words) > _LABELS:
            lines.append(f"  and {len(words) - _LABELS} more, better ones")
    return lines
