"""What `tfxfer inspect --against` shows to people."""

from __future__ import annotations

from typing import Any

from tfxfer.cli.output import Output
from tfxfer.system.plain_text import escape_controls
from tfxfer_edge.cli.inspect_tables import shorten

__all__ = ["show_comparison"]

_SHOWN = 5  # rows of a table; --json has all


def show_comparison(output: Output, found: dict[str, Any]) -> None:
    """Prints what `compare_with_run` found as tables for people."""
    from tfxfer.evaluation import Metric

    about = Metric(**{key: value for key, value in found["metric"].items() if key != "name"})
    where = f"{found['samples']} {found['noun']} of {found['run']} ({found['split']})"
    value, exact = (about.write(found[key]) for key in ("file", "float"))
    words = [f"{about.title} {value}, in float32 {exact}"]
    if found["agreement"] is not None:
        words.append(f"same answers: {100 * found['agreement']:.1f} %")
    output.show(escape_controls(f"on {where}: {'; '.join(words)}"))
    output.show_table(
        (f"WORST OF {found['compared']} TENSORS", "", "SQNR DB", "ERROR", "ROUNDING ALONE DB"),
        [
            (
                item["operator"],
                shorten(item["name"]),
                f"{item['sqnr_db']:.1f}",
                f"{100 * item['relative_rms']:.1f} %",
                "" if item["own_sqnr_db"] is None else f"{item['own_sqnr_db']:.1f}",
            )
            for item in found["tensors"][:_SHOWN]
        ],
    )
    for remark in found["remarks"]:
        output.show(escape_controls(remark))
    first = found["costliest"]
    if first is None:
        output.show("no operator costs the answers anything")
        return

    def write(value: float) -> str:
        return about.write({"value": value, "low": value, "high": value}).partition(" [")[0]

    output.show_table(
        ("COSTS THE ANSWERS", "AT", "OF THE ERROR", f"{about.title.upper()} BEFORE", "AFTER"),
        [
            (
                ", ".join(item["operators"]),
                shorten(item["tensor"]),
                "{value:.0f} % [{low:.0f}, {high:.0f}]".format(
                    **{key: 100 * value for key, value in item["share"].items()}
                ),
                write(item["metric_before"]),
                write(item["metric_after"]),
            )
            for item in found["operators"][:_SHOWN]
        ],
    )
    what = f"{', '.join(first['operators'])} at {escape_controls(shorten(first['tensor']))}"
    if first["is_clear"]:
        output.show(f"the operator that costs most: {what}")
    else:
        output.show(
            f"the operator that seems to cost most: {what}; {found['samples']} {found['noun']} are "
            "too few to be sure: --images"
        )
