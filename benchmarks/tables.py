"""Records of docs/benchmarks/records/ as Markdown tables.

A record is one table: what was run, where and when, how each column is shown, and the figures. The
figures are as the scripts write them: shares are 0..1, times are seconds. A figure is

- a number, or text;
- `{"value": …, "low": …, "high": …}`: with its 95 % interval;
- `{"rounds": […]}`: measured several times; the median counts, the range stands beside it;
- a list: several figures, such as one a seed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = ["Column", "Record", "central", "format_figure", "format_spread", "look_up", "make_table"]


@dataclass(frozen=True)
class Column:
    """How the figures of one key are shown.

    Args:
        key: in the rows; `gain.accuracy` looks inside.
        title: of the column.
        format: a format of Python's for numbers.
        unit: what follows a number.
        labels: texts of the scripts → texts for people.
        merge: leave a cell empty that repeats the one above it.
    """

    key: str
    title: str
    format: str = ""
    unit: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    merge: bool = False


@dataclass(frozen=True)
class Record:
    """One table of figures.

    Args:
        command: what repeats it; None where it was measured by hand.
        cpu: what it was measured on, and how many cores of it.
        commit: of the code that was measured.
        date: ISO 8601; a range has a slash.
        columns: of the table, in order.
        rows: the figures, by the keys of the columns. A row may hold more than is shown.
        empty: what is said where there are no rows.
    """

    command: str | None
    cpu: str
    commit: str
    date: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    empty: str = ""

    @classmethod
    def read(cls, path: Path) -> Record:
        """Reads a file; refuses keys that it does not know.

        Raises:
            ValueError: unknown keys, of the record or of a column.
        """
        document = json.loads(path.read_text(encoding="utf-8"))
        _refuse_unknown(path, document, cls)
        for column in document["columns"]:
            _refuse_unknown(path, column, Column)
        return cls(**{**document, "columns": [Column(**x) for x in document["columns"]]})

    def write(self, path: Path) -> None:
        """Writes a file that `read` takes, without what equals a default."""
        document = asdict(self)
        document["columns"] = [
            {key: value for key, value in column.items() if value not in ("", {}, False)}
            for column in document["columns"]
        ]
        if not self.empty:
            del document["empty"]
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def column(self, key: str) -> Column:
        """Returns the column of a key."""
        return next(column for column in self.columns if column.key == key)


def make_table(record: Record, where: Mapping[str, str] | None = None) -> str:
    """Returns the Markdown table of a record.

    Args:
        record: the figures.
        where: keys and texts; only rows that have them are shown, without their columns.
    """
    where = where or {}
    rows = select(record.rows, where)
    if not rows:
        return record.empty
    columns = [column for column in record.columns if column.key not in where]
    lines = [[column.title for column in columns], ["--"] * len(columns)]
    above: list[str] = []
    for row in rows:
        cells = [format_figure(look_up(row, column.key), column) for column in columns]
        shown = [
            "" if column.merge and cells[: i + 1] == above[: i + 1] else cell
            for i, (column, cell) in enumerate(zip(columns, cells, strict=True))
        ]
        lines.append(shown)
        above = cells
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def select(rows: Sequence[Mapping[str, Any]], where: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Returns the rows whose figures, as text, are what is asked for."""
    return [row for row in rows if all(str(row.get(k)) == v for k, v in where.items())]


def look_up(row: Mapping[str, Any], key: str) -> Any:
    """Returns the figure of a key such as `gain.accuracy`; None where there is none."""
    found: Any = row
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def central(figure: Any) -> Any:
    """Returns the one number of a figure: its value, or the median of its rounds."""
    if isinstance(figure, Mapping):
        return figure["value"] if "value" in figure else statistics.median(figure["rounds"])
    return figure


def format_figure(figure: Any, column: Column) -> str:
    """Returns a cell: the figure, and its interval or range where it has one."""
    if isinstance(figure, list):
        return ", ".join(format_figure(item, column) for item in figure)
    if isinstance(figure, Mapping):
        spread = format_spread(figure, column)
        if "rounds" in figure:
            spread = f"({spread})"
        return f"{_format_number(central(figure), column)} {spread}"
    if figure is None:
        return ""
    if isinstance(figure, str):
        return column.labels.get(figure, figure).replace("|", "\\|")
    return _format_number(figure, column)


def format_spread(figure: Any, column: Column) -> str:
    """Returns the interval in brackets, or the range in words; empty where there is neither."""
    if not isinstance(figure, Mapping):
        return ""
    bare = Column(column.key, column.title, column.format)
    if "value" in figure:
        low, high = (_format_number(figure[end], bare).rstrip("%") for end in ("low", "high"))
        return f"[{low}, {high}]"
    ends = min(figure["rounds"]), max(figure["rounds"])
    low, high = (_format_number(end, bare).rstrip("%") for end in ends)
    return f"{low} to {high}"


def _format_number(number: float, column: Column) -> str:
    return f"{number:{column.format}}{column.unit}"


def _refuse_unknown(path: Path, document: Mapping[str, Any], cls: type) -> None:
    unknown = sorted(set(document) - {item.name for item in fields(cls)})
    if unknown:
        raise ValueError(f"{path.name}: expected keys of a {cls.__name__}. Received: {unknown}.")
