"""What a training has forgotten of the run that it went on from: `trust/forgetting.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfxfer.evaluation.pairs import paired_difference
from tfxfer.evaluation.scoring import score_predictions
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.rates import find_decisions
from tfxfer.trust.stored import StoredRecord

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["Forgetting", "LabelMemory", "measure_forgetting"]

_WIDEST = 24  # characters of a label in a line


@dataclass(frozen=True)
class LabelMemory:
    """How many samples of one label are still found.

    Args:
        label: of the earlier run.
        samples: of it, in the earlier run's test split.
        before: share that the earlier run finds.
        after: share that the model finds now.
    """

    label: str
    samples: int
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class Forgetting(StoredRecord):
    """What the earlier run's test samples say of both models.

    The model of now may answer with any of its labels, new ones as well.

    Args:
        run: the earlier one.
        keep: what held on to what it knew; None nothing.
        replay: its samples of each label that were learnt again.
        samples: of its test split that both were asked about.
        missing: of its test split, that are gone or have changed.
        new_labels: that the earlier run did not have.
        metric: name of the headline; empty where there were no samples.
        before: the earlier run's headline.
        after: the model's.
        lost: paired by sample, above 0 worse, in points or the metric's own unit.
        labels: label by label, where a head's answers are labels.
    """

    title: ClassVar[str] = "record of what was forgotten"
    file_name: ClassVar[str] = "forgetting.json"

    run: str
    keep: str | None
    replay: int
    samples: int
    missing: int
    new_labels: tuple[str, ...]
    metric: str = ""
    before: Estimate | None = None
    after: Estimate | None = None
    lost: Estimate | None = None
    labels: tuple[LabelMemory, ...] = ()

    def describe(self) -> list[str]:
        """Returns what a person is told, a line each."""
        gone = f"{self.missing:,} of its test samples are gone or have changed"
        if self.before is None or self.after is None or self.lost is None:
            return [f"forgotten of {self.run}: nobody knows, since {gone}"]
        lost = self.lost
        lines = [
            f"forgotten of {self.run}, on {self.samples:,} samples of its test split: "
            f"{self.metric} {self.before.value:.4g} → {self.after.value:.4g}, "
            f"{lost.value:+.2f} lost [{lost.low:+.2f}, {lost.high:+.2f}]"
            + (f"; {gone}" if self.missing else "")
        ]
        width = min(_WIDEST, max((len(row.label) for row in self.labels), default=0))
        for row in self.labels:
            before, after = row.before.value, row.after.value
            lines.append(
                f"  {row.label[:_WIDEST].ljust(width)}  found {before:6.1%} → {after:6.1%} of "
                f"{row.samples:,}"
            )
        return lines


def measure_forgetting(
    targets: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    *,
    head: Head,
    labels: Sequence[str],
    known: int,
    run: str,
    keep: str | None,
    replay: int,
    missing: int,
    seed: int = 0,
) -> Forgetting:
    """Returns what a model has forgotten.

    Args:
        targets: of the earlier run's test samples, as the head encodes them for all labels.
        before: scores of the earlier run; 0 for the labels that it did not have.
        after: scores of the model.
        head: the task.
        labels: names of all outputs.
        known: how many of these the earlier run had.
        run: where it lies.
        keep: what held on to what it knew.
        replay: its samples of each label that were learnt again.
        missing: its test samples that nobody could be asked about.
        seed: of the intervals.

    Shapes: targets, before and after (samples, outputs).
    """
    new = tuple(labels[known:])
    if not len(targets):
        return Forgetting(run, keep, replay, 0, missing, new)
    first, second = (
        score_predictions(targets, scores, head=head, labels=labels, seed=seed)
        for scores in (before, after)
    )
    metric = str(first["headline"])
    if metric not in second:  # a figure that is undefined for one of them
        metric = next(name for name in head.figures.headlines if name in first and name in second)
    lost = paired_difference(
        targets, before, after, head=head, labels=labels, metric=metric, seed=seed
    )
    return Forgetting(
        run,
        keep,
        replay,
        len(targets),
        missing,
        new,
        metric,
        Estimate.of(first[metric]),
        Estimate.of(second[metric]),
        Estimate.of(lost),
        _list_labels(targets, before, after, head, labels),
    )


def _list_labels(
    targets: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    head: Head,
    labels: Sequence[str],
) -> tuple[LabelMemory, ...]:
    first, _ = find_decisions(head, targets, before, labels)
    second, _ = find_decisions(head, targets, after, labels)
    if first is None or second is None:
        return ()
    sizes = dict(zip(first.labels, first.true.sum(axis=0).tolist(), strict=True))
    recalls = second.recalls()
    return tuple(
        LabelMemory(label, int(sizes[label]), Estimate.of(recall), Estimate.of(recalls[label]))
        for label, recall in first.recalls().items()
    )
