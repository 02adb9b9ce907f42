"""Slices in words that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfxfer.evaluation.blame import blame_head
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fairness import Gap
from tfxfer.trust.slices import ColumnSlices, SliceGroup, SliceReport

if TYPE_CHECKING:
    from tfxfer.evaluation.figures import Metric
    from tfxfer.head import Head

__all__ = ["describe_column", "describe_slices", "read_gap"]

_SHOWN = 8
"""Groups of a column that are shown; the worst come first, and the rest is in the document."""


def describe_slices(
    report: SliceReport, head: Head, *, noun: str = "sample", plural: str = "samples"
) -> list[str]:
    """Returns lines for a person: each column's groups, the worst first.

    Args:
        report: what was measured.
        head: the task.
        noun: what one sample is called.
        plural: and several.
    """
    with blame_head(head):
        about = head.figures.catalogue[report.metric]
    lines = []
    for column in report.columns:
        lines += describe_column(column, report, about, noun=noun, plural=plural)
    for name, why in report.left_out.items():
        lines.append(f"{name}: not looked at, {why}")
    return lines


def describe_column(
    column: ColumnSlices,
    report: SliceReport,
    about: Metric,
    *,
    noun: str = "sample",
    plural: str = "samples",
) -> list[str]:
    """Returns a title, and a line for each group of a column."""
    names = {True: noun, False: plural}
    shown = column.groups[:_SHOWN]
    width = max(len(group.value) for group in shown)
    lines = [f"{about.title} by {column.column}, worst first"]
    for group in shown:
        figure = group.metrics.get(report.metric)
        read = "not defined" if figure is None else about.read(figure.to_dict())
        count = f"{group.samples:,} {names[group.samples == 1]}"
        words = _judge(group, about, report.least)
        lines.append(f"  {group.value.ljust(width)}  {read}; {count}{words}")
    if len(column.groups) > _SHOWN:
        lines.append(f"  and {len(column.groups) - _SHOWN} more, better ones")
    for criterion, gap in column.fairness.gaps.items():
        lines.append(f"  gap in {criterion.replace('_', ' ')}: {read_gap(gap)}, of {gap.label}")
    if column.fairness.reason:
        lines.append(f"  no gaps: {column.fairness.reason}")
    if column.unknown:
        says = f"of {column.unknown:,} {names[column.unknown == 1]} nothing is known"
        lines.append(f"  {says}")
    return lines


def _judge(group: SliceGroup, about: Metric, least: int) -> str:
    words = []
    if group.is_surely_behind and group.behind is not None:
        words.append(f"surely behind the others, by {_write_lag(group.behind, about)}")
    if group.is_small:
        words.append(f"fewer than {least}: too few to be judged")
    return "".join(f"; {word}" for word in words)


def _write_lag(behind: Estimate, about: Metric) -> str:
    value, low, high = behind.value, behind.low, behind.high
    if about.unit == "percent":
        return f"{100 * value:.1f} points [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"


def read_gap(gap: Gap) -> str:
    """Returns a difference of two shares in points, with its interval.

    Example:
        >>> read_gap(Gap(0.215, 0.08, 0.3, "bee"))
        '21.5 points, between 8.0 and 30.0'
    """
    value, low, high = (100 * end for end in (gap.value, gap.low, gap.high))
    return f"{value:.1f} points, between {low:.1f} and {high:.1f}"
