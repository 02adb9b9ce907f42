"""How a run fares on each group of its test samples: `trust/slices.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfxfer.data.samples import SampleSplit
from tfxfer.inference.predictor import Predictor
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.slices import measure_slices

__all__ = ["record_slices"]


def record_slices(
    run: RunDirectory,
    split: SampleSplit,
    scores: np.ndarray,
    predictor: Predictor,
    metrics: Mapping[str, Any],
    *,
    seed: int,
) -> None:
    """Writes how a run fares on each group of its test samples; nothing where there are no groups.

    Args:
        run: whose lock is held.
        split: its test samples.
        scores: of each.
        predictor: that scored them.
        metrics: what `score_predictions` returned.
        seed: of the bootstrap.

    Shapes: scores (samples, outputs).
    """
    slices = split.slices
    if not slices:
        return
    report = measure_slices(
        split.targets,
        scores,
        slices,
        head=predictor.head,
        labels=predictor.labels,
        metrics=metrics,
        data=split.name,
        seed=seed,
    )
    report.write(run.trust)
