"""What `tfxfer inspect` shows to people of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfxfer.cli.output import Output
from tfxfer.system.plain_text import escape_controls

__all__ = ["shorten", "show_document"]

_SHOWN = 5  # rows of a table; --json has all
_WIDEST = 48  # characters of a tensor's name
_FEW_LABELS = 5


def show_document(output: Output, document: dict[str, Any]) -> None:
    """Prints what `inspect_file` found as tables for people."""
    output.show(escape_controls(f"{document['path']}: {', '.join(_list_totals(document))}"))
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
        output.show(escape_controls(remark))
    _show_tensors(output, document)
    if document["kind"] == "tflite":
        _show_xnnpack(output, document["xnnpack"])
        _show_accelerators(output, document["accelerators"])


def shorten(name: str) -> str:
    """Returns the part of a tensor's name that tells most: names of what was fused follow it.

    Example:
        >>> shorten("stem_relu/Relu6;stem_bn/batchnorm/add_1;stem_conv/convolution")
        'stem_relu/Relu6'
    """
    first = name.split(";")[0]
    return first if len(first) <= _WIDEST else f"…{first[1 - _WIDEST :]}"


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
        words.append(f"M multiply-adds: {total['multiplications'] / 1e6:,.1f}")
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
    columns.append(("M MULTIPLY-ADDS", lambda row: _show_millions(row["multiplications"])))
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
    words = [found["name"], found["description"], found["kind"]]
    if found["learnt_from"] is not None:
        words.append(f"learnt from {found['learnt_from']:,} samples")
    lines = [f"metadata: {'; '.join(filter(None, words))}"]
    if found["preprocessing"] is not None:
        mean, std = (_show_channels(found["preprocessing"][key]) for key in ("mean", "std"))
        lines.append(f"  normalization: (pixel - {mean}) / {std}")
    labels = found["labels"]
    if labels:
        more = ", …" if len(labels) > _FEW_LABELS else ""
        lines.append(f"  labels: {len(labels):,}: {', '.join(labels[:_FEW_LABELS])}{more}")
    if found["files"]:
        files = ", ".join(f"{item['name']} ({item['bytes']:,} bytes)" for item in found["files"])
        lines.append(f"  files: {files}")
    for line in lines:
        output.show(escape_controls(line))  # a label with a line of its own stays within this one


def _show_channels(values: list[float]) -> str:
    """Returns one number where all channels have it."""
    if len(set(values)) == 1:
        return f"{values[0]:.6g}"
    return f"({', '.join(f'{value:.6g}' for value in values)})"


def _show_tensors(output: Output, document: dict[str, Any]) -> None:
    """Prints the largest tensors, and how much is held at once."""
    output.show_table(
        ("LARGEST TENSORS", "", "TYPE", "SHAPE", "KB"),
        [
            (
                shorten(item["name"]),
                "weights" if item["is_constant"] else "computed",
                item["dtype"],
                "x".join(map(str, item["shape"])),
                f"{item['bytes'] / 1e3:,.1f}",
            )
            for item in document["largest"][:_SHOWN]
        ],
    )
    peak = document["activations"]
    if peak is not None:
        output.show(
            f"held at once beside weights: {peak['peak_bytes'] / 1e3:,.1f} kB, at operator "
            f"{peak['index']}, {escape_controls(peak['operator'])}: an estimate by lifetimes"
        )


def _show_origin(output: Output, found: dict[str, Any]) -> None:
    opsets = ", ".join(f"{name} {version}" for name, version in found["opsets"].items())
    maker = found["producer"] or "nobody that it names"
    output.show(escape_controls(f"made by {maker}; opsets: {opsets}"))


def _show_xnnpack(output: Output, found: dict[str, Any]) -> None:
    """Prints what runs fast on a CPU, and where that is interrupted."""
    left = sum(row["count"] for row in found["left"])
    pieces = f" in {found['partitions']} pieces" if found["partitions"] > 1 else ""
    output.show(f"operators that XNNPACK computes: {found['taken']:,}{pieces}; LiteRT: {left:,}")
    if found["cuts"]:
        cuts = ", ".join(f"{row['operator']} ({row['count']})" for row in found["cuts"])
        output.show(escape_controls(f"what cuts: {cuts}"))
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
            output.show(f"{item['name']}: {note}")


def _show_types(row: dict[str, Any]) -> str:
    if len(row["types"]) == 1:
        return str(next(iter(row["types"])))
    return "; ".join(f"{count} {name}" for name, count in row["types"].items())


def _show_millions(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e6:,.2f}" if count else ""
