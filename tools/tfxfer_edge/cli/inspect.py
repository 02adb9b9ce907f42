"""`tfxfer inspect`: what a model file holds."""

from __future__ import annotations

from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("inspect")
@click.argument("file")
def command(output: Output, *, file: str) -> None:
    """Show what FILE, a .tflite file, holds.

    Its ends and what their values stand for, its metadata, its operators with their weights and
    multiplications. Nothing of the file is run, and TensorFlow is not needed.
    """
    from tfxfer_edge.inspection.files import inspect_file

    document = inspect_file(file)
    output.emit(document)
    show_document(output, document)


def show_document(output: Output, document: dict[str, Any]) -> None:
    """Prints what `inspect_file` found as tables for people."""
    total = document["total"]
    output.show(
        f"{document['path']}: {document['bytes'] / 1e6:.2f} MB, operators: {total['operators']:,}, "
        f"M multiplications: {total['multiplications'] / 1e6:,.1f}"
    )
    output.show_table(
        ("END", "NAME", "TYPE", "SHAPE", "SCALE", "ZERO", "VALUES"),
        [_show_end(side, end) for side in ("input", "output") for end in document[f"{side}s"]],
    )
    _show_metadata(output, document["metadata"])
    output.show_table(
        ("OPERATOR", "COUNT", "TYPES", "WEIGHTS KB", "M MULT"),
        [
            (
                row["operator"],
                str(row["count"]),
                _show_types(row),
                f"{row['weight_bytes'] / 1e3:.1f}" if row["weight_bytes"] else "",
                _show_millions(row["multiplications"]),
            )
            for row in document["operators"]
        ],
    )
    for remark in document["remarks"]:
        output.show(remark)
    explorer = document["explorer"]
    output.show(f"to see its graph: {explorer['command']}  ({explorer['install']})")


def _show_end(side: str, end: dict[str, Any]) -> tuple[str, ...]:
    values = ""
    if end["low"] is not None:
        values = f"{end['low']:.4g} to {end['high']:.4g}"
        if end["range_from"] == "metadata":
            values += ", by its metadata"
    return (
        side,
        end["name"],
        end["dtype"],
        "x".join(map(str, end["shape"])) or "one value",
        "" if end["scale"] is None else f"{end['scale']:.6g}",
        "" if end["zero_point"] is None else str(end["zero_point"]),
        values,
    )


def _show_metadata(output: Output, found: dict[str, Any] | None) -> None:
    if found is None:
        output.show("metadata: none")
        return
    words = [found["name"], found["description"], found["kind"], f"{found['labels']} labels"]
    if found["learnt_from"] is not None:
        words.append(f"learnt from {found['learnt_from']:,} samples")
    output.show(f"metadata: {'; '.join(filter(None, words))}")


def _show_types(row: dict[str, Any]) -> str:
    if len(row["types"]) == 1:
        return str(next(iter(row["types"])))
    return "; ".join(f"{count} {name}" for name, count in row["types"].items())


def _show_millions(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e6:,.2f}" if count else ""
