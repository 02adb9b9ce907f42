"""The section on how good the answers are: figures, labels, who is taken for whom."""

from __future__ import annotations

from tfxfer.evaluation import format_metrics
from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.tables import Matrix, Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Scatter, Section

__all__ = ["make_results"]

_MOST_ROWS = 60
_MOST_LABELS = 30
"""Of a matrix: more columns nobody reads, and a thousand of them are a million cells."""

_MOST_PAIRS = 30
_MOST_SCATTERS = 4


def make_results(material: Material) -> Section:
    """Returns the figures of the test beside the validation's, and what the head adds to them."""
    head, metrics = material.head, material.metrics
    parts: list[Part] = [_tabulate_figures(material)]
    with blame_head(head):
        matrix, tables = head.figures.matrix(metrics), head.figures.tables(metrics)
    if matrix is not None:
        parts.append(matrix if len(matrix.labels) <= _MOST_LABELS else _list_pairs(matrix))
    parts += [_shorten(table) for table in tables]
    parts += _list_scatters(material)
    parts += [Note(f"Note: {note}.") for note in metrics["notes"]]
    return Section("results", "How good it is", tuple(parts))


def _tabulate_figures(material: Material) -> Table:
    plural, head = material.modality.plural, material.head
    validation = material.manifest.metrics.get("val")
    tested = dict(format_metrics(material.metrics, head))
    columns = ["", f"test, {material.metrics['images']:,} {plural}"]
    rows = {title: [title, value] for title, value in tested.items()}
    if validation is not None:
        columns.append(f"validation, {validation['images']:,} {plural}")
        seen = dict(format_metrics(validation, head))
        rows = {title: [*row, seen.get(title, "")] for title, row in rows.items()}
    title = "Figures, in brackets where the truth lies in 95 of 100 such tests"
    return Table(title, tuple(columns), tuple(map(tuple, rows.values())))


def _list_pairs(matrix: Matrix) -> Table:
    """Returns the most frequent confusions, for a matrix that is too large to be read."""
    pairs = matrix.list_confusions()
    rows = tuple(
        (true, answer, f"{count:,}", f"{size:,}")
        for count, size, true, answer in pairs[:_MOST_PAIRS]
    )
    title = f"{matrix.title}: the most frequent of {len(pairs):,} pairs"
    return Table(title, ("truth", "answer", "times", "of"), rows)


def _shorten(table: Table) -> Table:
    if len(table.rows) <= _MOST_ROWS:
        return table
    title = f"{table.title}: the {_MOST_ROWS} worst of {len(table.rows):,}"
    return Table(title, table.columns, table.rows[:_MOST_ROWS])


def _list_scatters(material: Material) -> list[Scatter]:
    """Returns answers beside the truth, for a task whose answers are nearer or farther."""
    tested = material.tested
    if not tested or any(answer.is_right is not None for answer in tested):
        return []
    encoded = material.encoded
    if encoded is None:
        return []
    truths, found = encoded
    labels = material.manifest.labels
    return [
        Scatter(
            "Answers beside the truth" if len(labels) == 1 else f"{label}: answers and truth",
            tuple(truths[:, k].tolist()),
            tuple(found[:, k].tolist()),
        )
        for k, label in enumerate(labels[:_MOST_SCATTERS])
    ]
