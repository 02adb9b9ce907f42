"""All that a run holds, read: what the page is made of."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.adaptation.domain_record import Domains
from tfxfer.adaptation.record import Adaptation
from tfxfer.adaptation.reweighting import Reweighting
from tfxfer.data.audit_file import read_audit
from tfxfer.data.problems import Audit
from tfxfer.data.record import Record, Source
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import DataError, RunError
from tfxfer.evaluation.stored import check_stored_figures
from tfxfer.head import Head
from tfxfer.modality import Modality
from tfxfer.registry.lookup import Registry, get_head, get_modality
from tfxfer.report.answers import Answer, compare_encoded, measure_confidence, read_answers
from tfxfer.report.copies import CopyGroup, find_copy_groups
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import Manifest
from tfxfer.run.seals import check_sealed
from tfxfer.sample import Sample
from tfxfer.system.bounded import MOST_TABLE_BYTES, read_bytes
from tfxfer.system.plain_text import unguard_cell
from tfxfer.system.records import read_document
from tfxfer.trust.baselines import BaselineRecord
from tfxfer.trust.course import Finding
from tfxfer.trust.fair_record import FairTraining
from tfxfer.trust.forgetting import Forgetting
from tfxfer.trust.label_errors import LabelError, read_label_errors
from tfxfer.trust.profile import GapProfile
from tfxfer.trust.reliability import Reliability
from tfxfer.trust.slices import SliceReport
from tfxfer.trust.temperature import Calibration

__all__ = ["Epoch", "Material", "Origin", "read_material"]


@dataclass(frozen=True)
class Origin:
    """Where a run came from, as whoever trained it knows.

    Args:
        root: folder that the samples' paths are relative to; None where nobody knows it.
        cells: of samples that are cells of a table, by path.
        source: the samples, where `run.json` names no path of them.
        command: that repeats the run, as typed.
        remarks: what a reader must know of the data, such as its licence.
    """

    root: Path | None = None
    cells: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None
    command: str = ""
    remarks: tuple[str, ...] = ()

    def locate(self, path: str) -> Sample | None:
        """Returns where a sample is, by its path; None where nobody knows it."""
        if self.root is None:
            return None
        return Record(path, "", content=self.cells.get(path)).locate(self.root)


@dataclass(frozen=True)
class Epoch:
    """One row of `history.csv`.

    Args:
        phase: that it belongs to.
        values: of each column that is a number.
    """

    phase: str
    values: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Material:
    """What there is to show of a run; what it has no record of is empty or None.

    Args:
        run: the folder.
        manifest: its `run.json`.
        head: the task.
        modality: what a sample is.
        origin: where it came from.
        history: one per epoch.
        answers: to every validation and test sample.
        split: where each sample went.
        audit: what was found in the files.
        export: `export/export.json`.
        slices: how each group of test samples fares.
        fair: what it cost to treat groups alike, where that was asked for.
        adaptation: to another look; None where there was none.
        domains: how the sources of its samples differ; None where they are of one.
        reweighting: how much training samples count by how like the target they are; None where all
            count the same.
        forgetting: of the run that it went on from; None where it began anew.
        baselines: how simpler ways of training do.
        gap: how far the samples are from what the pretrained network knows.
        label_errors: labels that look wrong; None where nobody looked.
        calibration: what became of the model's confidence.
        gap_fault: why that could not be measured, in a sentence.
        findings: what went wrong in the training.
    """

    run: RunDirectory
    manifest: Manifest
    head: Head
    modality: Modality
    origin: Origin
    history: tuple[Epoch, ...] = ()
    answers: tuple[Answer, ...] = ()
    split: tuple[SplitRow, ...] = ()
    audit: Audit | None = None
    export: Mapping[str, Any] | None = None
    slices: SliceReport | None = None
    fair: FairTraining | None = None
    adaptation: Adaptation | None = None
    domains: Domains | None = None
    reweighting: Reweighting | None = None
    forgetting: Forgetting | None = None
    baselines: BaselineRecord | None = None
    gap: GapProfile | None = None
    label_errors: tuple[LabelError, ...] | None = None
    calibration: Calibration | None = None
    gap_fault: str = ""
    findings: tuple[Finding, ...] = ()

    @cached_property
    def tested(self) -> tuple[Answer, ...]:
        """The answers to test samples."""
        return tuple(answer for answer in self.answers if answer.split == "test")

    @cached_property
    def encoded(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Truths and answers of the test samples, see `compare_encoded`."""
        return compare_encoded(self.tested, self.head, self.manifest.labels)

    @cached_property
    def confidence(self) -> Reliability | None:
        """How often test answers of each confidence are right, see `measure_confidence`."""
        return measure_confidence(self.tested, seed=self.manifest.seed)

    @cached_property
    def copy_groups(self) -> list[CopyGroup]:
        """Which samples are copies of which, the largest groups first."""
        return find_copy_groups(self.audit, self.split)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The figures of the test."""
        found: Mapping[str, Any] = self.manifest.metrics["test"]
        return found


def read_material(
    run: RunDirectory, *, origin: Origin | None = None, registry: Registry | None = None
) -> Material:
    """Reads a run.

    Args:
        run: a finished one.
        origin: where it came from.
        registry: where its plugins are looked up; None is what is installed.

    Raises:
        RunError: it is not finished, a record of it says something else, or a file of it is not
            what its training wrote.
        DataError: a table of it cannot be read.
        PluginError: a plugin of it is missing.
    """
    manifest = run.read_manifest()
    if manifest.status != "done" or "test" not in manifest.metrics:
        raise RunError(
            f"report of run {str(run.path)!r}: expected a finished training. Received: "
            f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {run.path}"
        )
    head = get_head(manifest.head, options=dict(manifest.head_options), registry=registry)
    check_stored_figures(manifest.metrics, head, where=str(run.manifest_path))
    export, errors = run.export / "export.json", run.label_errors_path
    check_sealed(run, run.model_path)
    split = check_sealed(run, run.split_path)
    return Material(
        run=run,
        manifest=manifest,
        head=head,
        modality=get_modality(manifest.modality, registry=registry),
        origin=origin or Origin(),
        history=_read_history(run.history_path) if run.history_path.is_file() else (),
        answers=read_answers(run),
        split=read_split_table(split) if split.is_file() else (),
        audit=read_audit(run.audit_path) if run.audit_path.is_file() else None,
        export=read_document(export, expected="the JSON of an export", error=RunError)
        if export.is_file()
        else None,
        slices=SliceReport.read(run.trust),
        fair=FairTraining.read(run.trust),
        adaptation=Adaptation.read(run.trust),
        domains=Domains.read(run.trust),
        reweighting=Reweighting.read(run.trust),
        forgetting=Forgetting.read(run.trust),
        baselines=BaselineRecord.read(run.trust),
        gap=GapProfile.read(run.trust),
        calibration=None
        if manifest.calibration is None
        else Calibration.from_dict(manifest.calibration),
        findings=tuple(map(Finding.from_dict, manifest.findings)),
        label_errors=read_label_errors(errors) if errors.is_file() else None,
    )


def _read_history(path: Path) -> tuple[Epoch, ...]:
    try:
        text = read_bytes(path, MOST_TABLE_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row of another width than the first")
        return tuple(
            Epoch(
                unguard_cell(row["phase"]),
                {
                    unguard_cell(name): float(value) if value else math.nan
                    for name, value in row.items()
                    if name not in ("epoch", "phase")
                },
            )
            for row in rows
        )
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"table {str(path)!r}: expected the history of a run, a row of numbers for each epoch. "
            f"Received: {type(error).__name__}: {error}."
        ) from error
