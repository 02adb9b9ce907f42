"""`run.json` while a run is trained: true after every step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tfxfer.data.samples import SampleData
from tfxfer.device import Device
from tfxfer.job.prepare import Prepared
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import (
    DataSummary,
    Manifest,
    PhaseRecord,
    WeightsUsed,
    collect_versions,
)
from tfxfer.run.seals import seal_files
from tfxfer.schedule import FitState

if TYPE_CHECKING:
    from tfxfer.training.plan import FitPlan

__all__ = ["RunRecord", "describe_start"]

_MOST_SKIPPED = 10_000  # samples that `run.json` names; it is read whole


class RunRecord:
    """Keeps `run.json` and `history.csv` true of a run while it is trained.

    Args:
        run: whose lock is held.
        manifest: what the run begins or goes on with; it is written at once.
    """

    def __init__(self, run: RunDirectory, manifest: Manifest) -> None:
        self._run, self._manifest = run, replace(manifest, status="running")
        run.write_manifest(self._manifest)

    @property
    def manifest(self) -> Manifest:
        """What `run.json` says now."""
        return self._manifest

    def update(self, **changes: Any) -> None:
        """Writes some fields of the manifest anew."""
        self._manifest = replace(self._manifest, **changes)
        self._run.write_manifest(self._manifest)

    def seal(self, *names: str) -> None:
        """Writes the sha256 of files just written, see `seal_files`."""
        found = seal_files(self._run, *names)
        self.update(sha256={**self._manifest.sha256, **found})

    def write_phases(self, state: FitState) -> None:
        """Writes the finished phases, and a row for each epoch."""
        rows: list[dict[str, Any]] = []
        records = []
        for record in state.records:
            for number in range(record.epochs):
                logs = {key: values[number] for key, values in record.history.items()}
                rows.append({"epoch": len(rows), "phase": record.name, **logs})
            values = {key: value for key, value in record.to_dict().items() if key != "history"}
            best = state.best_epoch if state.best_phase == record.name else None
            records.append(PhaseRecord(**values, best_epoch=best))
        self._run.write_history(rows)
        self.update(phases=tuple(records))

    def mark_interrupted(self) -> None:
        """Says in `run.json` that the run is not done."""
        if self._manifest.status == "running":
            # What went wrong is on its way up; a disk that is still full must not hide it.
            with contextlib.suppress(OSError):
                self.update(status="interrupted")


def _note_unnamed(skipped: int) -> list[str]:
    if skipped <= _MOST_SKIPPED:
        return []
    return [
        f"run.json names {_MOST_SKIPPED:,} of {skipped:,} samples that were left out; skipped.csv "
        "names all of them"
    ]


def describe_start(
    prepared: Prepared,
    data: SampleData,
    device: Device,
    plan: FitPlan,
    unlabelled: Mapping[str, str] | None = None,
) -> Manifest:
    """Returns the manifest of a run that is about to be trained.

    Args:
        prepared: what to train.
        data: its samples.
        device: that computes.
        plan: all phases.
        unlabelled: see `Manifest`.
    """
    weights = prepared.weights
    return Manifest(
        backbone=prepared.request.backbone,
        head=prepared.head.name,
        request=asdict(prepared.request),
        head_options=prepared.head.options(),
        labels=data.labels,
        modality=prepared.modality.name,
        size=prepared.size,
        preprocessing=data.train.contract.to_dict(),
        seed=prepared.request.seed,
        versions={**collect_versions(), **prepared.plugins},
        device=device.kind,
        precision=device.precision,
        weights=WeightsUsed(weights.source, weights.sha256, weights.licence),
        unlabelled=dict(unlabelled or {}),
        data=DataSummary(
            images=len(data.train) + len(data.val) + len(data.test),
            train=len(data.train),
            val=len(data.val),
            test=len(data.test),
            fingerprint=data.fingerprint,
            skipped=tuple(
                {"path": item.path, "kind": item.kind, "detail": item.detail}
                for item in data.audit.skipped[:_MOST_SKIPPED]
            ),
            unread=data.audit.count_unread(),
            notes=(*data.audit.notes, *data.doubts, *_note_unnamed(len(data.audit.skipped))),
        ),
        plan=tuple(
            {
                "phase": item.phase.to_dict(),
                "views": plan.views,
                "trainable_parameters": item.trainable_parameters,
                "cached": item.cached,
            }
            for item in plan.phases
        ),
    )
