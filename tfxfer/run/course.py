"""What became of a run's phases, in words."""

from __future__ import annotations

from tfxfer.run.manifest import Manifest, PhaseRecord

__all__ = ["describe_course", "describe_pace"]


def describe_course(manifest: Manifest) -> list[str]:
    """Returns what a person must know of the phases, a line each.

    What a budget cut short may still have helped: nobody knows.

    Args:
        manifest: of a run whose phases are over.
    """
    phases = manifest.phases
    if any(phase.stopped == "not_finite" for phase in phases) or any(
        finding.get("kind") == "not_finite" for finding in manifest.findings
    ):
        return []  # a finding says what ended it, and neither the clock nor the network did
    lines = [
        f"phase {phase.name!r} was stopped by --budget {_describe_place(phase)}"
        for phase in phases
        if phase.stopped == "budget"
    ]
    short = any(phase.is_shortened for phase in phases)
    begun = {phase.name for phase in phases}
    left_out = [item.phase.name for item in manifest.planned_phases()]
    lines += [
        f"phase {name!r} was not begun: --budget left no time for it"
        for name in left_out
        if (lines or short) and name not in begun
    ]
    best = [phase.name for phase in phases if phase.best_epoch is not None]
    if not lines and len(phases) > 1 and best == [phases[0].name]:
        lines.append(
            f"fine-tuning did not help: the best validation epoch is of phase {best[0]!r}, and "
            "the model is that one"
        )
    return lines


def _describe_place(phase: PhaseRecord) -> str:
    if phase.planned_epochs is not None and phase.epochs < phase.planned_epochs:
        return f"after {phase.epochs} of {phase.planned_epochs} epochs"
    return f"in epoch {phase.epochs}, before its learning rate had fallen"


def describe_pace(manifest: Manifest) -> list[str]:
    """Returns which phases had fewer epochs than planned and are whole all the same, a line each.

    Args:
        manifest: of a run whose phases are over.
    """
    return [
        f"phase {phase.name!r} had {phase.epochs} of {phase.planned_epochs} epochs, as many as fit "
        "into --budget; its learning rate fell in time"
        for phase in manifest.phases
        if phase.is_shortened
    ]
