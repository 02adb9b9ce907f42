"""The section on how the training went: curves by phase, and what each phase was."""

from __future__ import annotations

import itertools
import math

from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Curves, Line, Note, Part, Section
from tfxfer.report.words import make_sentence
from tfxfer.run.course import describe_pace
from tfxfer.run.manifest import PhaseRecord

__all__ = ["make_training"]

_VALIDATION = "val_"
_MOST_PANELS = 4
_REASONS = {
    "budget": "the time was up",
    "patience": "no better for long",
    "callback": "a callback",
    "not_finite": "the loss was not finite",
}


def make_training(material: Material) -> Section:
    """Returns the curves with their phases, and a table of these."""
    parts: list[Part] = list(_list_curves(material))
    if not parts:
        parts.append(Note("This run has no history.csv, so there are no curves."))
    parts += _describe_kept(material)
    parts += [Note(make_sentence(finding.describe())) for finding in material.findings]
    parts += [Note(make_sentence(line)) for line in describe_pace(material.manifest)]
    if material.manifest.phases:
        parts.append(_tabulate_phases(material))
    return Section("training", "How it learnt", tuple(parts))


def _list_curves(material: Material) -> list[Curves]:
    history, monitor = material.history, material.head.monitor
    columns = list(dict.fromkeys(name for epoch in history for name in epoch.values))
    watched = monitor.name.removeprefix(_VALIDATION)
    bases = [name for name in columns if f"{_VALIDATION}{name}" in columns]
    bases.sort(key=lambda name: (name != watched, name != "loss"))
    phases = tuple(
        (name, len(list(group)))
        for name, group in itertools.groupby(epoch.phase for epoch in history)
    )
    kept = next((x.best_epoch for x in material.manifest.phases if x.best_epoch is not None), None)
    catalogue = material.head.figures.catalogue
    return [
        Curves(
            (catalogue[base].title if base in catalogue else base.replace("_", " ")).capitalize(),
            (
                Line("validation", _list_values(material, f"{_VALIDATION}{base}")),
                Line("training", _list_values(material, base), is_main=False),
            ),
            phases,
            kept=kept,
            is_share=base == watched and monitor.share,
        )
        for base in bases[:_MOST_PANELS]
    ]


def _list_values(material: Material, column: str) -> tuple[float, ...]:
    return tuple(epoch.values.get(column, math.nan) for epoch in material.history)


def _describe_kept(material: Material) -> list[Note]:
    phases = material.manifest.phases
    total = sum(phase.epochs for phase in phases)
    return [
        Note(
            f"The model is that of epoch {phase.best_epoch + 1} of {total}, in phase {phase.name}: "
            "the best on the validation part, which the test never touches. Dashed lines are where "
            "more of the network was unfrozen."
            if len(phases) > 1
            else f"The model is that of epoch {phase.best_epoch + 1} of {total}: the best on the "
            "validation part, which the test never touches."
        )
        for phase in phases
        if phase.best_epoch is not None
    ]


def _count_epochs(phase: PhaseRecord) -> str:
    """Returns how many there were, and of how many: a phase may go on beyond its plan."""
    planned = phase.planned_epochs
    return (
        f"{phase.epochs}"
        if planned is None or planned <= phase.epochs
        else (f"{phase.epochs} of {planned}")
    )


def _tabulate_phases(material: Material) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            phase.name,
            "nothing" if phase.stage is None else f"up to {phase.stage}",
            f"{phase.trainable_parameters:,}",
            _count_epochs(phase),
            f"{phase.learning_rate:g}",
            f"{phase.seconds:.0f} s",
            "" if phase.stopped is None else _REASONS.get(phase.stopped, phase.stopped),
        )
        for phase in material.manifest.phases
    ]
    columns: tuple[str, ...] = (
        "",
        "frozen",
        "trained numbers",
        "epochs",
        "learning rate",
        "took",
        "ended early by",
    )
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table("Each phase", columns, tuple(rows))
