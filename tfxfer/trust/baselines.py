"""Whether transfer helped: a run beside what is simpler than it, on the same test samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tfxfer.evaluation import paired_difference
from tfxfer.trust.stored import StoredRecord

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = [
    "BASELINES",
    "Answers",
    "BaselineRecord",
    "BaselineResult",
    "judge_baseline",
]

BASELINES: Mapping[str, str] = {
    "probe": "the head alone, on pretrained features of plain samples",
    "scratch": "the same network from random weights, in the same time",
}
"""What a run can be held against, in words."""

Verdict = Literal["helps", "no_difference", "hurts"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answers to the test samples.

    Args:
        scores: its outputs, (samples, outputs).
        metrics: of these, as `score_predictions` returns them.
    """

    scores: np.ndarray
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class BaselineResult:
    """One baseline, and how the run does beside it.

    Args:
        name: one of `BASELINES`.
        seconds: that its training took.
        epochs: that it had.
        metric: that was compared, a name of the head's catalogue.
        metrics: the baseline's figures on the test samples, with their intervals.
        difference: by how much the run is better, `value`, `low`, `high`: a paired 95 % interval,
            in percentage points or the metric's own unit; below 0 it is worse.
        verdict: what the run's way of training did against the baseline's.
        words: the same as a sentence.
    """

    name: str
    seconds: float
    epochs: int
    metric: str
    metrics: Mapping[str, Any]
    difference: Mapping[str, float]
    verdict: Verdict
    words: str


@dataclass(frozen=True)
class BaselineRecord(StoredRecord):
    """`trust/baselines.json`.

    Args:
        results: one per baseline that was trained.
        notes: why one was not.
    """

    title: ClassVar[str] = "record of baselines"
    file_name: ClassVar[str] = "baselines.json"

    results: tuple[BaselineResult, ...] = ()
    notes: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        return [*(result.words for result in self.results), *self.notes]


def judge_baseline(
    name: str,
    run: Answers,
    baseline: Answers,
    *,
    targets: np.ndarray,
    head: Head,
    labels: Sequence[str],
    seconds: float,
    epochs: int,
    is_head_only: bool = False,
    plural: str = "samples",
    seed: int = 0,
) -> BaselineResult:
    """Returns how a run does beside a baseline.

    Only an interval that leaves out 0 is a difference. A head on frozen features that does worse
    than random weights is underfitting: nothing pretrained has been trained yet, so nobody knows
    whether transfer hurts.

    Args:
        name: one of `BASELINES`.
        run: what the run answers to the test samples.
        baseline: what the baseline answers to them.
        targets: of these samples, as the head encodes them.
        head: the task.
        labels: names of the outputs.
        seconds: that the baseline took.
        epochs: that it had.
        is_head_only: whether the run trained its head alone.
        plural: what samples are called.
        seed: of the bootstrap.

    Shapes: targets (samples, outputs).

    Source:
        Negative transfer as a comparison with a training from scratch: Wang et al. 2019,
        Characterizing and Avoiding Negative Transfer, section 2.
    """
    metric = next(
        (x for x in head.figures.headlines if x in run.metrics and x in baseline.metrics),
        run.metrics["headline"],
    )
    difference = paired_difference(
        targets, run.scores, baseline.scores, head=head, labels=labels, metric=metric, seed=seed
    )
    verdict: Verdict = "no_difference"
    if difference["low"] > 0:
        verdict = "helps"
    elif difference["high"] < 0:
        verdict = "hurts"
    about = head.figures.catalogue[metric]
    ours, theirs = (
        about.write(found.metrics[metric]).partition(" [")[0] for found in (run, baseline)
    )
    style, unit = ("+.1f", " points") if about.unit == "percent" else ("+.4g", "")
    value, low, high = (format(difference[key], style) for key in ("value", "low", "high"))
    figures = (
        f"{about.title} {ours} against {theirs} of {BASELINES[name]}, "
        f"better by {value}{unit} [{low}, {high}]"
    )
    subject = "transfer" if name == "scratch" else "fine-tuning"
    words = {
        "helps": f"{subject} helps",
        "no_difference": f"no difference by {subject} that {len(targets):,} {plural} could show",
        "hurts": f"{subject} hurts",
    }[verdict]
    remedy = ""
    if verdict == "hurts" and name == "scratch" and is_head_only:
        words = "frozen features do not suffice"
        remedy = (
            ". That says nothing against transfer yet: the pretrained network was never "
            "fine-tuned. Do that: --schedule two_phase, or more --budget"
        )
    return BaselineResult(
        name=name,
        seconds=seconds,
        epochs=epochs,
        metric=metric,
        metrics=_list_figures(baseline.metrics),
        difference=difference,
        verdict=verdict,
        words=f"{words}: {figures}{remedy}",
    )


def _list_figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the figures with their intervals, without what is kept of every class."""
    return {
        key: value
        for key, value in metrics.items()
        if isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)
    }
