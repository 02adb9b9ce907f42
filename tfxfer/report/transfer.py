"""The section on whether the pretrained network helped."""

from __future__ import annotations

from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section, Sentence, Tone
from tfxfer.report.words import make_sentence
from tfxfer.trust.baselines import BASELINES, BaselineResult

__all__ = ["describe_transfer", "make_transfer"]

_TONES: dict[str, Tone] = {"helps": "good", "no_difference": "plain", "hurts": "bad"}


def make_transfer(material: Material) -> Section | None:
    """Returns the run beside simpler ways; None where none was trained."""
    record = material.baselines
    if record is None:
        return None
    rows = tuple(_list_cells(result, material) for result in record.results)
    parts: list[Part] = []
    if rows:
        title = "Simpler ways on the same test, and by how much this run is better"
        columns = ("", "what it is", "figure", "better by", "epochs", "took")
        parts.append(Table(title, columns, rows))
    parts += [Note(f"{result.words}.") for result in record.results]
    parts += [Note(f"{note}.") for note in record.notes]
    return Section("transfer", "Did transfer help", tuple(parts))


def describe_transfer(material: Material) -> list[Sentence]:
    """Returns a line of the verdict for each baseline."""
    record = material.baselines
    return [
        Sentence(make_sentence(result.words), _TONES[result.verdict], "transfer")
        for result in (() if record is None else record.results)
    ]


def _list_cells(result: BaselineResult, material: Material) -> tuple[str, ...]:
    metric = material.head.figures.catalogue[result.metric]
    unit = " points" if metric.unit == "percent" else ""
    low, value, high = (result.difference[key] for key in ("low", "value", "high"))
    return (
        result.name,
        BASELINES.get(result.name, ""),
        f"{metric.title} {metric.write(result.metrics[result.metric])}",
        f"{value:+.1f}{unit} [{low:+.1f}, {high:+.1f}]"
        if unit
        else f"{value:+.4g} [{low:+.4g}, {high:+.4g}]",
        f"{result.epochs}",
        f"{result.seconds:.0f} s",
    )
