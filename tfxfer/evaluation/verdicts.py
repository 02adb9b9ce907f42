"""Whether a result is worth anything: what must be said of one that may be luck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfxfer.evaluation.blame import blame_head

if TYPE_CHECKING:
    from tfxfer.evaluation.figures import Baseline, Metric
    from tfxfer.head import Head

__all__ = ["find_warnings"]

_LABELS = 5  # that a warning names


def find_warnings(
    metrics: Mapping[str, Any], head: Head, *, cause: str = ""
) -> list[dict[str, str]]:
    """Returns what must be said of a result that answers without looking may give, too.

    Args:
        metrics: what `score_predictions` returned.
        head: the task that was scored; its `baselines` say what such answers come to.
        cause: what may be to blame, in words, where that is known.

    Returns:
        Warnings as JSON data, each with `kind` (`chance`: the interval of a metric holds a
        baseline, or is worse than it; `unpredicted_classes`: labels that were never the answer),
        `message` and `cause`; none for a result that is better than that.

    Raises:
        ContractError: the head's baselines fail, or are of a metric that its catalogue lacks.

    Example:
        >>> from types import SimpleNamespace
        >>> from tfxfer.evaluation import ClassFigures
        >>> head = SimpleNamespace(figures=ClassFigures, baselines=ClassFigures.baselines)
        >>> classes = [{"label": x, "images": 5, "precision": 0.5} for x in ("ant", "bee")]
        >>> accuracy = {"value": 0.6, "low": 0.31, "high": 0.83}
        >>> found = find_warnings({"accuracy": accuracy, "per_class": classes}, head)
        >>> found[0]["message"]
        'accuracy 60.0 % [31.0, 83.0] cannot be told from guessing among 2 classes (50.0 %)'
    """
    with blame_head(head):
        catalogue = head.figures.catalogue
        best: dict[str, Baseline] = {}
        for baseline in head.baselines(metrics):
            name = baseline.metric
            metric = catalogue[name]
            if not _may_be(metrics[name], baseline, metric):
                continue
            if name not in best or _ranks_higher(baseline, best[name], metric):
                best[name] = baseline
        messages = [
            ("chance", _word_chance(metrics[name], baseline, catalogue[name]))
            for name, baseline in best.items()
        ]
        silent = head.figures.unpredicted(metrics)
    if silent:
        listed = ", ".join(map(repr, silent[:_LABELS])) + ", …" * (len(silent) > _LABELS)
        words = f"{len(silent)} of {len(metrics['labels'])} labels are never the answer: {listed}"
        messages.append(("unpredicted_classes", words))
    return [{"kind": kind, "message": text, "cause": cause} for kind, text in messages]


def _may_be(figure: Mapping[str, float], baseline: Baseline, metric: Metric) -> bool:
    """Returns whether the truth may be no better than a baseline."""
    if metric.lower_is_better:
        return figure["high"] >= baseline.value
    return figure["low"] <= baseline.value


def _ranks_higher(one: Baseline, other: Baseline, metric: Metric) -> bool:
    return one.value < other.value if metric.lower_is_better else one.value > other.value


def _word_chance(figure: Mapping[str, float], baseline: Baseline, metric: Metric) -> str:
    worth = metric.write(dict.fromkeys(("value", "low", "high"), baseline.value))
    return (
        f"{metric.title} {metric.write(figure)} cannot be told from {baseline.answer} "
        f"({worth.partition(' [')[0]})"
    )
