"""Pages of docs/ whose tables come from records: what stands between markers is rendered.

    <!-- table: growth -->                  the table of docs/benchmarks/records/growth.json
    <!-- table: quality set=flowers5 -->    of it, the rows with that text
    <!-- source: growth -->                 what repeats it, and where it was measured
    <!-- claims -->                         claims.json, whose figures are those of other records

Each ends at `<!-- /table -->` and the like. What the scripts in this folder write goes into the
records with `scripts/render_benchmarks --ingest`.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tables import Column, Record, central, format_spread, look_up, make_table, select

__all__ = ["COMPARISONS", "render_claims", "render_page", "render_source"]

COMPARISONS = {
    "at_least": ("≥", operator.ge),
    "at_most": ("≤", operator.le),
    "above": (">", operator.gt),
}
"""What a claim can ask for: its sign, and whether a figure reaches it."""

_MARKED = re.compile(
    r"(?P<start><!-- (?P<kind>table|source|claims)(?:: (?P<name>\w+)(?P<where>(?: \w+=\S+)*))? -->)"
    r".*?(?P<end><!-- /(?P=kind) -->)",
    re.DOTALL,
)


def render_page(text: str, records: Path) -> str:
    """Returns a page with everything between its markers made anew.

    Args:
        text: the page.
        records: folder of the records.

    Raises:
        ValueError: a marker without its end, or one that names no record.
    """

    def replace(found: re.Match[str]) -> str:
        return f"{found['start']}\n\n{_render(found, records)}\n\n{found['end']}"

    rendered = _MARKED.sub(replace, text)
    starts = re.findall(r"<!-- (?:table|source|claims)\b", rendered)
    if len(starts) != len(_MARKED.findall(rendered)):
        raise ValueError("expected an end such as <!-- /table --> for every marker")
    return rendered


def _render(found: re.Match[str], records: Path) -> str:
    if found["kind"] == "claims":
        return render_claims(records)
    path = records / f"{found['name']}.json"
    if not path.is_file():
        raise ValueError(f"{found['start']}: expected {path.name} in {records}. Received: none.")
    record = Record.read(path)
    if found["kind"] == "source":
        return render_source(record, Record.read(records / "setup.json"))
    where = dict(item.split("=", 1) for item in found["where"].split())
    return make_table(record, where)


def render_source(record: Record, setup: Record) -> str:
    """Returns what repeats a record, and what of its circumstances differs from the others'."""
    text = f"`{record.command}`" if record.command else "By hand; no script repeats it"
    others = [
        f"{name} {getattr(record, name)}"
        for name in ("cpu", "commit", "date")
        if getattr(record, name) != getattr(setup, name)
    ]
    return ", ".join([text, *others]) + "."


def render_claims(records: Path) -> str:
    """Returns the table of claims: one figure a row, and whether it is what was asked for."""
    claims = json.loads((records / "claims.json").read_text(encoding="utf-8"))
    lines = [["claim", "asked", "measured", "interval or range", "reached"], ["--"] * 5]
    lines += [list(_render_claim(claim, records)) for claim in claims]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _render_claim(claim: Mapping[str, Any], records: Path) -> Iterator[str]:
    """Yields the cells of one claim."""
    page = claim.get("page")
    yield f"[{claim['claim']}]({page})" if page else claim["claim"]
    if "measured" in claim:  # in words
        yield from (claim["asked"], claim["measured"], "", claim["reached"])
        return
    record = Record.read(records / f"{claim['record']}.json")
    rows = select(record.rows, claim.get("where", {}))
    if len(rows) != 1:
        raise ValueError(
            f"claim {claim['claim']!r}: expected one row of {claim['record']}.json with "
            f"{claim.get('where', {})}. Received: {len(rows)} rows."
        )
    figure, column = look_up(rows[0], claim["key"]), record.column(claim["key"])
    shown = _show(central(figure), column, claim, places=column.format)
    if "asked" not in claim:  # reported, nothing was asked for
        yield from ("", shown, format_spread(figure, column), claim.get("reached", ""))
        return
    ((asked, bound),) = claim["asked"].items()
    sign, reaches = COMPARISONS[asked]
    yield f"{sign} {_show(bound, column, claim, places='')}"
    yield shown
    yield format_spread(figure, column)
    yield "yes" if reaches(central(figure), bound) else "**no**"


def _show(number: float, column: Column, claim: Mapping[str, Any], *, places: str) -> str:
    """Returns a number with the unit of a claim; a bound without needless places."""
    if "%" in column.format:
        return f"{number:{places or '.0%'}}"
    return f"{number:{places or 'g'}}{claim.get('unit', column.unit)}"
