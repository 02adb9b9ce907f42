"""What `export.json` holds, and `tfxfer export --json` prints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfxfer.evaluation import headline
from tfxfer_edge.proof.choice import Choice, is_slower
from tfxfer_edge.proof.comparison import Comparison
from tfxfer_edge.proof.gate import Candidate
from tfxfer_edge.proof.made import Made
from tfxfer_edge.proof.subject import Subject

__all__ = ["describe_export"]


def describe_export(
    subject: Subject,
    comparison: Comparison,
    candidates: Sequence[Candidate],
    choice: Choice | None,
    *,
    baseline: Made | None,
    folder: Path,
    kept: Collection[str],
    asked: dict[str, Any],
    calibration: dict[str, Any],
) -> dict[str, Any]:
    """Returns the document.

    Args:
        subject: what is exported.
        comparison: with the float model's metrics.
        candidates: every recipe, in the order to show.
        choice: what is taken; None where nothing passed.
        baseline: the float32 file, which others are faster or smaller than; None where there is
            none to compare with.
        folder: where the files go.
        kept: names of the recipes whose files go there.
        asked: `max_drop`, `prefer` and `gate`.
        calibration: which images found the ranges.
    """
    name, _ = headline(comparison.reference["val"])
    about = subject.predictor.head.figures.catalogue[name]
    return {
        ("model" if subject.run is None else "run"): str(subject.path),
        "float": {
            "path": str(subject.file),
            "bytes": subject.bytes,
            "metrics": comparison.reference,
            "tflite_bytes": None if baseline is None else len(baseline.content),
            "latency_ms": None if baseline is None else baseline.latency_ms,
        },
        "metric": {"name": name, **asdict(about)},
        "candidates": [
            {
                **item.to_dict(),
                "path": str(folder / item.path) if item.path and item.recipe in kept else None,
                **_compare(item, baseline),
            }
            for item in candidates
        ],
        "chosen": None if choice is None else choice.candidate.recipe,
        "samples": subject.predictor.modality.plural,
        "because": None if choice is None else choice.because,
        **asked,
        "calibration": calibration,
    }


def _compare(item: Candidate, baseline: Made | None) -> dict[str, Any]:
    """Returns how a file compares with float32: how many times faster, and the bytes saved."""
    if baseline is None or item.bytes is None or item.latency_ms is None:
        return {"times_faster": None, "bytes_saved": None, "slower_than_float": None}
    return {
        "times_faster": baseline.latency_ms / item.latency_ms,
        "bytes_saved": len(baseline.content) - item.bytes,
        "slower_than_float": is_slower(item.laps_ms, baseline.laps_ms),
    }
