"""Whether a model may go out: each rule of a gate against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfxfer.trust.estimate import Estimate
from tfxfer.trust.gate_rules import Bound, Gate, Rule
from tfxfer.trust.slices import ColumnSlices, SliceGroup, SliceReport, measure_slices
from tfxfer.trust.stored import PlainRecord

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["Judgement", "RuleResult", "judge_gate", "judge_scores"]

_ROUNDING = 1e-9  # 0.9 - 0.75 is a little more than 0.15


@dataclass(frozen=True)
class RuleResult:
    """What became of one rule.

    Args:
        rule: as it was written.
        holds: whether it does. One that nothing can be said of does not.
        measured: the figure that decided; None where nothing can be said.
        where: the group or label that it is of; empty for all samples.
        words: for a person: what was measured, or why nothing can be said.
    """

    rule: str
    holds: bool
    measured: Estimate | None
    where: str
    words: str


@dataclass(frozen=True)
class Judgement(PlainRecord):
    """What became of a gate.

    Args:
        source: its file.
        bound: which end of an interval was asked for.
        least: samples below which groups did not count.
        rules: what became of each.
    """

    title: ClassVar[str] = "record of a gate"

    source: str
    bound: Bound
    least: int
    rules: tuple[RuleResult, ...]

    @property
    def holds(self) -> bool:
        """Whether every rule does."""
        return all(result.holds for result in self.rules)

    def describe(self) -> list[str]:
        """Returns a line for each rule."""
        return [
            f"{'met' if result.holds else 'NOT MET'}  {result.rule}: {result.words}"
            for result in self.rules
        ]

    def describe_failure(self) -> str:
        """Returns the rules that do not hold, in one line; empty where all do."""
        failed = [result for result in self.rules if not result.holds]
        return "; ".join(f"{result.rule}: {result.words}" for result in failed)


@dataclass(frozen=True)
class _Found:
    """A figure that a rule may be about; None where it does not exist."""

    figure: Estimate | None
    where: str


def judge_gate(gate: Gate, report: SliceReport) -> Judgement:
    """Returns which rules hold.

    Of groups the worst one by the end that counts decides. Groups of fewer than `gate.least`
    samples do not count; where no other is left, the rule does not hold, since nothing says that it
    does. The words name what did not decide: groups without the figure, columns not looked at.

    Args:
        gate: the rules.
        report: from `measure_slices`, with the columns that the rules name.
    """
    return Judgement(
        gate.source,
        gate.bound,
        gate.least,
        tuple(_judge_rule(rule, gate, report) for rule in gate.rules),
    )


def judge_scores(
    gate: Gate,
    targets: np.ndarray,
    scores: np.ndarray,
    slices: Mapping[str, Sequence[str]],
    *,
    head: Head,
    labels: Sequence[str],
    metrics: Mapping[str, Any],
) -> Judgement:
    """Returns which rules hold of a model's scores; the arguments are those of `measure_slices`.

    Shapes: targets and scores (samples, outputs).
    """
    wanted = slices if gate.needs_slices else {}
    report = measure_slices(
        targets,
        scores,
        wanted,
        head=head,
        labels=labels,
        metrics=metrics,
        also=gate.columns,
        least=gate.least,
    )
    return judge_gate(gate, report)


def _judge_rule(rule: Rule, gate: Gate, report: SliceReport) -> RuleResult:
    columns = [item for item in report.columns if rule.column in (None, item.column)]
    caveats: list[str] = []
    if rule.scope == "all":
        items = list(_list_figures(rule, [report.whole], ""))
        lacking = "it does not exist for these samples"
    else:
        find = _list_gaps if rule.scope == "gap" else _list_worst
        items = [item for column in columns for item in find(rule, column, gate.least)]
        lacking = f"no column has two groups of {gate.least} samples or more that it exists for"
        if rule.scope == "worst_slice":
            lacking = f"no group of {gate.least} samples or more has it"
        caveats = _list_caveats(rule, columns, report, gate.least)
    found = [(item.figure, item.where) for item in items if item.figure is not None]
    if not found:
        words = "; ".join([f"cannot be told, {lacking}", *caveats])
        return RuleResult(rule.text, False, None, "", words)
    without = [item.where for item in items if item.figure is None]
    if without:
        caveats.append(f"it does not exist for {', '.join(without)}")
    figure, where = min(found, key=lambda each: _measure_margin(each[0], rule, gate.bound))
    holds = _measure_margin(figure, rule, gate.bound) >= -_ROUNDING
    shown = f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
    words = f"{shown}, {where}" if where else shown
    return RuleResult(rule.text, holds, figure, where, "; ".join([words, *caveats]))


def _list_caveats(
    rule: Rule, columns: Sequence[ColumnSlices], report: SliceReport, least: int
) -> list[str]:
    """Returns what a rule about groups does not cover."""
    caveats = []
    small = sum(group.samples < least for column in columns for group in column.groups)
    if small:
        caveats.append(f"{small} of fewer than {least} samples did not count")
    if rule.column is None and report.left_out:
        caveats.append(f"not looked at: {', '.join(report.left_out)}")
    return caveats


def _measure_margin(figure: Estimate, rule: Rule, bound: Bound) -> float:
    """Returns by how much a rule holds; below 0 it does not."""
    if rule.operator == ">=":
        return (figure.low if bound == "low" else figure.value) - rule.threshold
    return rule.threshold - (figure.high if bound == "low" else figure.value)


def _list_figures(rule: Rule, groups: Sequence[SliceGroup], column: str) -> Iterator[_Found]:
    for group in groups:
        where = f"{column}={group.value}" if column else ""
        figure = group.metrics.get(rule.name)
        if rule.label is not None:
            figure = group.recalls.get(rule.label)
        elif figure is None and rule.name == "recall":
            figure = group.recall
        yield _Found(figure, where)


def _list_worst(rule: Rule, column: ColumnSlices, least: int) -> Iterator[_Found]:
    groups = [group for group in column.groups if group.samples >= least]
    return _list_figures(rule, groups, column.column)


def _list_gaps(rule: Rule, column: ColumnSlices, least: int) -> Iterator[_Found]:
    gap = column.fairness.gaps.get(rule.name)
    if rule.label is not None:
        own = {item.label: item.gaps for item in column.fairness.labels}.get(rule.label, {})
        gap = own.get(rule.name)
    if gap is None:
        yield _Found(None, column.column)
    else:
        yield _Found(gap.to_estimate(), f"of {gap.label} by {column.column}")
