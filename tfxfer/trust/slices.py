"""How a model fares on each group of samples: figures with intervals, the worst group first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.bootstrap import measure
from tfxfer.evaluation.intervals import subtract
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fairness import Fairness, find_gaps
from tfxfer.trust.groups import FEWEST_SAMPLES, Grouping, choose_groupings
from tfxfer.trust.rates import Decisions, find_decisions, mean_recall
from tfxfer.trust.stored import StoredRecord

if TYPE_CHECKING:
    from tfxfer.evaluation.figures import Metric
    from tfxfer.head import Head

__all__ = ["ColumnSlices", "SliceGroup", "SliceReport", "measure_slices"]

RESAMPLES = 400
"""Of each group. Source: Efron and Tibshirani 1993, section 6.4: 200 are enough for a standard
error, which is what the interval of a share is made of here."""


@dataclass(frozen=True)
class SliceGroup:
    """How a model fares on one group.

    Args:
        value: what the column says of it; empty for all samples.
        samples: how many it has.
        metrics: the head's figures that exist for it, by name.
        recall: mean of the shares of each label's samples that were found; None where answers are
            in no groups.
        recalls: the same of each label that the group has.
        behind: by how much the headline is worse than that of all other groups together, in the
            metric's own unit; below 0 it is better. None where one of them has none.
        is_small: whether it has too few samples to be judged.
    """

    value: str
    samples: int
    metrics: Mapping[str, Estimate]
    recall: Estimate | None = None
    recalls: Mapping[str, Estimate] = field(default_factory=dict)
    behind: Estimate | None = None
    is_small: bool = False

    @property
    def is_surely_behind(self) -> bool:
        """Whether all of the interval says that it is worse than the others."""
        return self.behind is not None and self.behind.low > 0


@dataclass(frozen=True)
class ColumnSlices:
    """How a model fares on the groups of one column.

    Args:
        column: its name.
        groups: the worst first: by the better end of the headline's interval, so that of two groups
            the one comes first that is more surely bad, and few samples alone make none bad.
        worst: the first that is not small, or is surely behind the others; None where none is.
        fairness: how far apart the groups are in what each label of theirs is taken for.
        unknown: of how many samples the column says nothing.
        is_binned: whether groups are ranges of numbers.
    """

    column: str
    groups: tuple[SliceGroup, ...]
    worst: str | None
    fairness: Fairness
    unknown: int = 0
    is_binned: bool = False


@dataclass(frozen=True)
class SliceReport(StoredRecord):
    """How a model fares on all groups; `trust/slices.json`.

    Args:
        data: what was measured.
        metric: name of the headline, by which groups are compared.
        least: samples below which a group is called small.
        whole: all samples.
        columns: those that were looked at.
        left_out: further columns, and why they were not.
    """

    title: ClassVar[str] = "record of slices"
    file_name: ClassVar[str] = "slices.json"

    data: str
    metric: str
    least: int
    whole: SliceGroup
    columns: tuple[ColumnSlices, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def measure_slices(
    targets: np.ndarray,
    scores: np.ndarray,
    slices: Mapping[str, Sequence[str]],
    *,
    head: Head,
    labels: Sequence[str],
    metrics: Mapping[str, Any],
    data: str = "",
    columns: Sequence[str] | None = None,
    also: Sequence[str] = (),
    least: int = FEWEST_SAMPLES,
    seed: int = 0,
) -> SliceReport:
    """Returns how a model fares on each group of samples.

    Args:
        targets: as the head encodes them.
        scores: as a model puts them out.
        slices: what each column says of each sample, as `SampleSplit.slices` has it.
        head: the task.
        labels: names of the outputs.
        metrics: of all samples, as `score_predictions` returned them.
        data: what was measured, for the record.
        columns: those that are wanted; None is all of 2 to 20 values.
        also: further ones, whatever the default is.
        least: samples below which a group is called small.
        seed: of the bootstrap.

    Shapes: targets and scores (samples, outputs).

    Raises:
        DataError: a column that was asked for and cannot be grouped.
        ContractError: the head fails.
    """
    groupings, left_out = choose_groupings(slices, columns, also)
    decisions, reason = find_decisions(head, targets, scores, labels)
    headline = metrics["headline"]
    about = head.figures.catalogue[headline]
    whole = {name: metrics[name] for name in head.figures.catalogue if name in metrics}
    scorer = _Scorer(targets, scores, tuple(labels), head, decisions, reason, headline, seed)
    return SliceReport(
        data,
        headline,
        least,
        scorer.describe("", np.ones(len(targets), bool), whole),
        tuple(_measure_column(scorer, grouping, about, least) for grouping in groupings),
        left_out,
    )


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Measures any of the samples."""

    targets: np.ndarray
    scores: np.ndarray
    labels: tuple[str, ...]
    head: Head
    decisions: Decisions | None
    reason: str
    headline: str
    seed: int

    def measure(
        self, chosen: np.ndarray, only: Sequence[str] | None = None
    ) -> dict[str, dict[str, float]]:
        with blame_head(self.head):
            figures = self.head.make_figures(self.targets[chosen], self.scores[chosen], self.labels)
            return measure(figures, seed=self.seed, resamples=RESAMPLES, only=only)

    def find_gaps(self, grouping: Grouping, least: int) -> Fairness:
        if self.decisions is None:
            return Fairness(reason=self.reason)
        return find_gaps(self.decisions, grouping, least=least, seed=self.seed)

    def describe(
        self, value: str, chosen: np.ndarray, found: Mapping[str, Mapping[str, float]]
    ) -> SliceGroup:
        decisions = None if self.decisions is None else self.decisions.select(chosen)
        recall = None if decisions is None else mean_recall(decisions)
        recalls = {} if decisions is None else decisions.recalls()
        return SliceGroup(
            value,
            int(chosen.sum()),
            {name: Estimate.of(figure) for name, figure in found.items()},
            None if recall is None else Estimate.of(recall),
            {label: Estimate.of(figure) for label, figure in recalls.items()},
        )


def _measure_column(scorer: _Scorer, grouping: Grouping, about: Metric, least: int) -> ColumnSlices:
    groups = []
    for number, name in enumerate(grouping.names):
        chosen = grouping.numbers == number
        others = (grouping.numbers >= 0) & ~chosen
        found = scorer.measure(chosen)
        behind = None
        if scorer.headline in found and others.any():
            rest = scorer.measure(others, (scorer.headline,))
            behind = _find_lag(found[scorer.headline], rest.get(scorer.headline), about)
        group = scorer.describe(name, chosen, found)
        groups.append(replace(group, behind=behind, is_small=group.samples < least))
    ordered = sorted(groups, key=lambda group: _rank(group, scorer.headline, about))
    judged = [group for group in ordered if not group.is_small or group.is_surely_behind]
    judged = [group for group in judged if scorer.headline in group.metrics]
    return ColumnSlices(
        grouping.column,
        tuple(ordered),
        judged[0].value if judged else None,
        scorer.find_gaps(grouping, least),
        grouping.unknown,
        grouping.is_binned,
    )


def _find_lag(
    figure: Mapping[str, float], rest: Mapping[str, float] | None, about: Metric
) -> Estimate | None:
    if rest is None:
        return None
    better, worse = (figure, rest) if about.lower_is_better else (rest, figure)
    return Estimate.of(subtract(better, worse))


def _rank(group: SliceGroup, headline: str, about: Metric) -> tuple[float, float, str]:
    """Returns what groups are sorted by: first the one whose best case is the worst."""
    figure = group.metrics.get(headline)
    if figure is None:
        return (math.inf, math.inf, group.value)
    if about.lower_is_better:
        return (-figure.low, -figure.value, group.value)
    return (figure.high, figure.value, group.value)
