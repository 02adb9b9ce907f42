"""Why a training may have learnt nothing, as far as its record shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tfxfer.head import Head
from tfxfer.run.manifest import Manifest

__all__ = ["FEW_EPOCHS", "FEW_SAMPLES", "find_cause"]

FEW_EPOCHS = 3
"""Epochs in all, up to which a training counts as hardly begun."""

FEW_SAMPLES = 10
"""Training samples of a group, below which it counts as hardly shown.

Source: docs/benchmarks/defaults.md: from 5 to 10 photos a class accuracy still rises by points.
"""


def find_cause(manifest: Manifest, raw_labels: Sequence[str], head: Head) -> str:
    """Returns what may be to blame for a result that is no better than chance, the likeliest first.

    Args:
        manifest: of the run, its phases finished.
        raw_labels: of the training samples.
        head: the task; its strata are the groups that need samples.
    """
    causes = []
    epochs = sum(phase.epochs for phase in manifest.phases)
    cut = next((phase for phase in manifest.phases if phase.stopped == "budget"), None)
    short = next((phase for phase in manifest.phases if phase.is_shortened), None)
    if cut is not None:
        planned = "" if cut.planned_epochs is None else f" of {cut.planned_epochs}"
        causes.append(
            f"--budget stopped phase {cut.name} after {cut.epochs}{planned} epochs: give it longer"
        )
    elif short is not None:
        causes.append(
            f"--budget left phase {short.name} time for {short.epochs} of {short.planned_epochs} "
            "epochs: give it longer"
        )
    elif epochs <= FEW_EPOCHS:
        plural = "epoch" if epochs == 1 else "epochs"
        more = "a longer --budget" if manifest.request.get("budget_seconds") else "more --epochs"
        causes.append(f"only {epochs} {plural} of training: give it {more}")
    if manifest.weights is not None and manifest.weights.source == "none":
        causes.append("random weights: leave --weights none out")
    strata = Counter(head.strata(raw_labels))
    if len(strata) > 1:
        name, count = min(strata.items(), key=lambda item: (item[1], item[0]))
        if count < FEW_SAMPLES:
            causes.append(f"few samples: {name!r} has {count} to learn from")
    tested = 0 if manifest.data is None else manifest.data.test
    if tested < FEW_SAMPLES * max(1, len(manifest.labels)):
        causes.append(f"a test of {tested} samples, in which luck is large")
    causes.append("labels that do not say what the samples show: look at predictions.csv")
    return "; ".join(causes)
