"""What a result holds beside single figures: tables, and who is taken for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Matrix", "Table", "tabulate_labels"]


@dataclass(frozen=True)
class Table:
    """Rows for a person, the worst first.

    Args:
        title: what the rows are.
        columns: what stands above each column; the first names the row.
        rows: cells as they are written, as many as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Matrix:
    """How often samples of one kind were given the answer of another.

    Args:
        title: what it shows.
        labels: of rows, the truth, and of columns, the answers.
        counts: a row for each label, of samples by what they were taken for.
    """

    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def list_confusions(self) -> list[tuple[int, int, str, str]]:
        """Returns who is taken for whom: how often, of how many, the truth, the answer.

        The most frequent come first.

        Example:
            >>> Matrix("", ("ant", "bee"), ((3, 1), (2, 4))).list_confusions()
            [(2, 6, 'bee', 'ant'), (1, 4, 'ant', 'bee')]
        """
        found = [
            (count, sum(row), self.labels[true], self.labels[answer])
            for true, row in enumerate(self.counts)
            for answer, count in enumerate(row)
            if count and true != answer
        ]
        return sorted(found, key=lambda item: (-item[0], item[1], item[2:]))


def tabulate_labels(document: Mapping[str, Any], *, title: str) -> Table:
    """Returns recall, precision and F1 of each label that has samples, the worst first.

    Args:
        document: what `score_predictions` returned, with `per_class`.
        title: of the table.

    Example:
        >>> item = {"label": "ant", "precision": None, "recall": 0.0, "f1": 0.0, "images": 2}
        >>> tabulate_labels({"per_class": [item]}, title="classes").rows
        (('ant', '0.0 %', 'none', '0.0 %', '2'),)
    """
    items = [item for item in document["per_class"] if item["images"]]
    items.sort(key=lambda item: (item["f1"], -item["images"], item["label"]))
    rows = tuple(
        (
            item["label"],
            *(_write_share(item[key]) for key in ("recall", "precision", "f1")),
            f"{item['images']:,}",
        )
        for item in items
    )
    return Table(
        title, ("", "found (recall)", "right of answers (precision)", "F1", "samples"), rows
    )


def _write_share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"
