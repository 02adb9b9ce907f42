"""The section on the files for the phone: what each costs, and what it is worth."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from tfxfer.errors import RunError
from tfxfer.evaluation.figures import Metric
from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section

__all__ = ["describe_chosen", "make_exported"]

_BROKEN = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a document that says something else comes to."""


def make_exported(material: Material) -> Section:
    """Returns the table of an export, or how to make one."""
    document = material.export
    title = "On the phone"
    if document is None:
        command = shlex.join(["tfxfer", "export", str(material.run.path)])
        words = "Nothing is exported yet. To make and compare files for a phone, type"
        return Section("export", title, (Note(words, command),))
    try:
        parts = _list_parts(document, material.modality.noun)
    except _BROKEN as error:
        raise _refuse(material, error) from error
    return Section("export", title, parts)


def describe_chosen(material: Material) -> str:
    """Returns what the chosen file is, in a sentence; empty where there is none."""
    document = material.export
    if document is None or document.get("chosen") is None:
        return ""
    try:
        metric, chosen = _read_metric(document), _find_chosen(document)
        words = f"The phone's file is {chosen['bytes'] / 1e6:.1f} MB ({chosen['recipe']})"
        if chosen["latency_ms"] is not None:
            words += f", takes {chosen['latency_ms']:.1f} ms on this machine"
        drop = chosen["test_drop_points"] or chosen["val_drop_points"]
        if drop is None:
            return f"{words}."
        return f"{words}, and {_word_drop(drop, metric)}."
    except _BROKEN as error:
        raise _refuse(material, error) from error


def _refuse(material: Material, error: Exception) -> RunError:
    return RunError(
        f"cannot read {str(material.run.export / 'export.json')!r}: expected what `tfxfer export` "
        f"writes. Received: {type(error).__name__}: {error}. Export anew."
    )


def _read_metric(document: Mapping[str, Any]) -> Metric:
    return Metric(**{key: value for key, value in document["metric"].items() if key != "name"})


def _find_chosen(document: Mapping[str, Any]) -> Mapping[str, Any]:
    by_recipe = {item["recipe"]: item for item in document["candidates"]}
    found: Mapping[str, Any] = by_recipe[document["chosen"]]
    return found


def _list_parts(document: Mapping[str, Any], noun: str) -> tuple[Part, ...]:
    metric, name = _read_metric(document), document["metric"]["name"]
    whole = document["float"]
    rows = [
        (
            "float32", "", _write_metric(whole["metrics"].get("test"), name, metric),
            _write_megabytes(whole["tflite_bytes"]), _write_ms(whole["latency_ms"]),
            "", "", "what the others are compared with",
        )
    ]  # fmt: skip
    for item in document["candidates"]:
        tested = (item["metrics"] or {}).get("test")
        rows.append(
            (
                item["recipe"],
                PurePath(item["path"]).name if item["path"] else "",
                _write_metric(tested, name, metric),
                _write_megabytes(item["bytes"]),
                _write_ms(item["latency_ms"]),
                _write_change(item["test_drop_points"] or item["val_drop_points"], metric),
                "" if item["agreement"] is None else f"{100 * item['agreement']:.1f} %",
                _word_status(item, document["chosen"]),
            )
        )
    columns = (
        "", "file", f"{metric.title} (test)", "MB", "ms here", "change", "same answers", "",
    )  # fmt: skip
    table = Table("Each file beside float32", columns, tuple(rows))
    notes = [Note(f"{document['chosen']} was chosen: {document['because']}.")]
    if document["chosen"] is None:
        notes = [Note("No file was good enough.")]
    return (
        *notes,
        table,
        Note(f"Milliseconds are those of the machine that exported, one {noun}."),
    )


def _write_metric(metrics: Mapping[str, Any] | None, name: str, metric: Metric) -> str:
    return "" if not metrics else metric.write(metrics[name])


def _write_megabytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1e6:.2f}"


def _write_ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _write_change(drop: Mapping[str, float] | None, metric: Metric) -> str:
    if drop is None:
        return ""
    ends = sorted((-drop["low"], -drop["high"]))
    unit = " points" if metric.unit == "percent" else ""
    return f"{-drop['value'] + 0:+.1f}{unit} [{ends[0]:+.1f}, {ends[1]:+.1f}]"


def _word_drop(drop: Mapping[str, float], metric: Metric) -> str:
    value = drop["value"]
    if drop["low"] <= 0 <= drop["high"]:
        return "loses nothing that a test of this size can see"
    unit = "points of " if metric.unit == "percent" else "of "
    return f"{'loses' if value > 0 else 'gains'} {abs(value):.1f} {unit}{metric.title}"


def _word_status(item: Mapping[str, Any], chosen: str | None) -> str:
    if item["recipe"] == chosen:
        return "chosen"
    words = "passed" if item["passed"] else "no"
    return f"{words}: {item['reason']}" if item["reason"] else words
