"""The section on groups of samples: how each fares, and how far apart they are."""

from __future__ import annotations

from tfxfer.evaluation.figures import Metric
from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section, Sentence
from tfxfer.report.words import make_sentence
from tfxfer.trust.slice_words import read_gap
from tfxfer.trust.slices import ColumnSlices, SliceReport

__all__ = ["describe_worst_group", "make_groups"]

_MOST_GROUPS = 20


def make_groups(material: Material) -> Section | None:
    """Returns a table for each column that says more of the samples; None where none does."""
    report = material.slices
    fair = [] if material.fair is None else material.fair.describe()
    if report is None or not (report.columns or report.left_out or fair):
        return None
    metric = material.head.figures.catalogue[report.metric]
    parts: list[Part] = [Note(make_sentence(line.strip())) for line in fair]
    for column in report.columns:
        parts.append(_tabulate(column, report, metric))
        parts += _list_gaps(column)
    parts += [Note(f"{name}: not looked at, {why}.") for name, why in report.left_out.items()]
    return Section("groups", "Each group", tuple(parts))


def describe_worst_group(material: Material) -> list[Sentence]:
    """Returns a line of the verdict for each column with a group that is surely behind."""
    report = material.slices
    if report is None:
        return []
    metric = material.head.figures.catalogue[report.metric]
    return [
        Sentence(
            f"Worse by {column.column}: {group.value} has {metric.title} "
            f"{metric.read(group.metrics[report.metric].to_dict())}.",
            "bad",
            "groups",
        )
        for column in report.columns
        for group in column.groups
        if group.value == column.worst and group.is_surely_behind and report.metric in group.metrics
    ]


def _tabulate(column: ColumnSlices, report: SliceReport, metric: Metric) -> Table:
    rows = []
    for group in column.groups[:_MOST_GROUPS]:
        figure = group.metrics.get(report.metric)
        words = ["surely behind the others"] * group.is_surely_behind
        words += [f"fewer than {report.least}, too few to be judged"] * group.is_small
        rows.append(
            (
                group.value or "(empty)",
                "not defined" if figure is None else metric.write(figure.to_dict()),
                f"{group.samples:,}",
                "; ".join(words),
            )
        )
    title = f"By {column.column}, the worst first"
    return Table(title, ("", metric.title, "samples", ""), tuple(rows))


def _list_gaps(column: ColumnSlices) -> list[Note]:
    notes = [
        Note(f"Gap in {criterion.replace('_', ' ')}: {read_gap(gap)}, of {gap.label}.")
        for criterion, gap in column.fairness.gaps.items()
    ]
    if column.fairness.reason:
        notes.append(Note(f"No gaps between the groups: {column.fairness.reason}."))
    return notes
