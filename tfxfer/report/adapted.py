"""The section on what was done about another look than the labelled one."""

from __future__ import annotations

from tfxfer.adaptation.record import Adaptation
from tfxfer.evaluation.tables import Table
from tfxfer.report.material import Material
from tfxfer.report.parts import Note, Part, Section
from tfxfer.report.words import make_sentence
from tfxfer.trust.estimate import Estimate

__all__ = ["make_adapted"]


def make_adapted(material: Material) -> Section | None:
    """Returns what was tried on the target and what it changed; None where there was no target."""
    record = material.adaptation
    if record is None:
        return None
    first, *_ = record.describe()
    plural = material.modality.plural
    parts: list[Part] = [Note(make_sentence(first))]
    if record.left_out:
        parts.append(Note(f"{record.left_out:,} {plural} could not be read and were left out."))
    if record.trials:
        parts.append(_list_trials(record))
    if record.effect is not None:
        effect = record.effect
        title = f"On {effect.samples:,} {plural} with labels, which only tested"
        known = {"before": effect.before, "after": effect.after}
        rows = tuple((name, _write(x)) for name, x in known.items() if x is not None)
        parts.append(Table(title, ("model", effect.metric), rows))
    shares = tuple((label, f"{share:.1%}") for label, share in record.shares.items())
    parts.append(Table("How frequent it finds each label", ("label", "share"), shares))
    return Section("adapted", "Another look than the labelled one", tuple(parts))


def _list_trials(record: Adaptation) -> Table:
    rows = tuple(
        (
            trial.method.replace("_", "-") + (" (kept)" if trial.method == record.kept else ""),
            f"{trial.agreement:.2f}",
            ""
            if trial.method == "none" or trial.gain is None
            else f"{trial.gain.value:+.2f} [{trial.gain.low:+.2f}, {trial.gain.high:+.2f}]",
        )
        for trial in record.trials
    )
    title = "How much an answer says of its neighbours' answers, in bits; no label is asked"
    return Table(title, ("method", "agreement", "more than before"), rows)


def _write(figure: Estimate) -> str:
    return f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
