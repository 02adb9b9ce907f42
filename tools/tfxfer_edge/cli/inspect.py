"""`tfxfer inspect`: what a model file holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tfxfer.cli.output import Output, tfxfer_command

__all__ = ["command"]


@tfxfer_command("inspect")
@click.argument("file")
def command(output: Output, *, file: str) -> None:
    """Show what FILE, a .tflite, .onnx or .keras file, holds.

    Its ends and what their values stand for, its metadata, its operators or layers with their
    weights. Of a .tflite file also multiplications, where XNNPACK's graph is cut, and what
    accelerators would refuse by their published lists. Nothing of the file is run, and TensorFlow
    is not needed.
    """
    from tfxfer_edge.inspection.files import inspect_file

    document = inspect_file(file)
    output.emit(document)
    show_document(output, document)


def show_document(output: Output, document: dict[str, Any]) -> None:
    """Prints what `inspect_file` found as tables for people."""
    output.show(f"{document['path']}: {', '.join(_list_totals(document))}")
    output.show_table(
        ("END", "NAME", "TYPE", "SHAPE", "SCALE", "ZERO", "VALUES"),
        [_show_end(side, end) for side in ("input", "output") for end in document[f"{side}s"]],
    )
    if document["kind"] == "tflite":
        _show_metadata(output, document["metadata"])
    elif document["kind"] == "onnx":
        _show_origin(output, document["metadata"])
    titles, columns = _choose_columns(document)
    output.show_table(
        titles, [tuple(column(row) for column in columns) for row in document["operators"]]
    )
    for remark in document["remarks"]:
        output.show(remark)
    if document["kind"] == "tflite":
        _show_xnnpack(output, document["xnnpack"])
        _show_accelerators(output, document["accelerators"])
    explorer = document["explorer"]
    if explorer is not None:
        output.show(f"to see its graph: {explorer['command']}  ({explorer['install']})")


def _list_totals(document: dict[str, Any]) -> list[str]:
    total = document["total"]
    is_keras = document["kind"] == "keras"
    words = [
        f"{document['bytes'] / 1e6:.2f} MB",
        f"{'layers' if is_keras else 'operators'}: {total['operators']:,}",
        f"weights: {total['weight_bytes'] / 1e6:.2f} MB",
    ]
    if is_keras:
        words.append(f"parameters: {total['parameters']:,}")
    if total["multiplications"] is not None:
        words.append(f"M multiplications: {total['multiplications'] / 1e6:,.1f}")
    return words


def _choose_columns(
    document: dict[str, Any],
) -> tuple[list[str], list[Callable[[dict[str, Any]], str]]]:
    """Returns what is told of each kind of operator, as far as the file does."""
    kind = document["kind"]
    columns: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("LAYER" if kind == "keras" else "OPERATOR", lambda row: str(row["operator"])),
        ("COUNT", lambda row: str(row["count"])),
    ]
    if kind == "tflite":
        columns.append(("TYPES", _show_types))
    if kind == "keras":
        columns.append(("PARAMETERS", lambda row: f"{row['parameters']:,}"))
    columns.append(("WEIGHTS KB", _show_weights))
    if kind == "tflite":
        columns.append(("M MULT", lambda row: _show_millions(row["multiplications"])))
    return [title for title, _ in columns], [column for _, column in columns]


def _show_weights(row: dict[str, Any]) -> str:
    return f"{row['weight_bytes'] / 1e3:.1f}" if row["weight_bytes"] else ""


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
        "x".join(map(str, end["shape"])),
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


def _show_origin(output: Output, found: dict[str, Any]) -> None:
    opsets = ", ".join(f"{name} {version}" for name, version in found["opsets"].items())
    output.show(f"made by {found['producer'] or 'nobody that it names'}; opsets: {opsets}")


def _show_xnnpack(output: Output, found: dict[str, Any]) -> None:
    """Prints what runs fast on a CPU, and where that is interrupted."""
    left = sum(row["count"] for row in found["left"])
    pieces = f" in {found['partitions']} pieces" if found["partitions"] > 1 else ""
    output.show(f"operators that XNNPACK computes: {found['taken']:,}{pieces}; LiteRT: {left:,}")
    if found["cuts"]:
        cuts = ", ".join(f"{row['operator']} ({row['count']})" for row in found["cuts"])
        output.show(f"what cuts: {cuts}")
    if found["left"]:
        output.show_table(
            ("LEFT TO LITERT", "COUNT", "BECAUSE"),
            [(row["operator"], str(row["count"]), row["reason"]) for row in found["left"]],
        )


def _show_accelerators(output: Output, found: list[dict[str, Any]]) -> None:
    """Prints what others would take, by the lists that they publish."""

    def join(rows: list[dict[str, Any]]) -> str:
        words = []
        for row in rows:
            reason = f", {row['reason']}" if "reason" in row else ""
            words.append(f"{row['operator']} ({row['count']}{reason})")
        return ", ".join(words)

    output.show_table(
        ("BY ITS PUBLISHED LIST", "TAKES", "REFUSES", "NOT LISTED"),
        [
            (
                f"{item['name']} (read {item['read']})",
                str(item["takes"]),
                join(item["refused"]),
                join(item["not_listed"]),
            )
            for item in found
        ],
    )
    for item in found:
        for note in item["notes"]:
            output.detail(f"{item['name']}: {note}")


def _show_types(row: dict[str, Any]) -> str:
    if len(row["types"]) == 1:
        return str(next(iter(row["types"])))
    return "; ".join(f"{count} {name}" for name, count in row["types"].items())


def _show_millions(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e6:,.2f}" if count else ""
