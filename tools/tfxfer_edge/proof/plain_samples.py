"""A folder of samples without labels: enough to find ranges with, and to compare two files on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.audit import inspect_source
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.record import Record, Source, make_source
from tfxfer.data.samples import SampleSplit
from tfxfer.errors import DataError
from tfxfer.inference.listing import list_samples
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer_edge.proof.run_images import draw_evenly

__all__ = ["is_plain", "list_plain", "read_plain"]


def is_plain(data: str | Path, modality: Modality, labels: Sequence[str] = ()) -> bool:
    """Returns whether a folder's samples have no labels that a model knows.

    That is so where no folder in it is named as a label is, nor as a part of a split. A table
    always has labels.

    Args:
        data: a folder, or what else `--calibration` takes.
        modality: says which files are samples.
        labels: of the model; none where nobody knows them.
    """
    root = Path(data)
    if not modality.reads_files or not root.is_dir():
        return False
    known = {*labels, "train", "training", "val", "valid", "validation", "test", "testing"}
    folders = [path.name for path in root.iterdir() if path.is_dir()]
    return not folders or (bool(labels) and known.isdisjoint(folders))


def list_plain(data: str | Path, modality: Modality) -> Source:
    """Lists the samples of a folder at any depth, none of them opened.

    The folder of each stands in the place of its label, so that a choice may be spread over them.

    Args:
        data: the folder.
        modality: says which files are samples.

    Raises:
        DataError: no folder, or one without samples.
    """
    root = Path(data)
    if not root.is_dir():
        raise DataError(
            f"--calibration {str(data)!r}: expected a folder of {modality.plural}. "
            f"Received: {'a file' if root.exists() else 'nothing at that path'}."
        )
    paths = [Path(str(x.path)).relative_to(root) for x in list_samples(str(root), modality)]
    records = [Record(path.as_posix(), path.parent.as_posix()) for path in paths]
    return make_source(root.resolve(), records, (), modality, kind="folders")


def read_plain(
    source: Source,
    modality: Modality,
    *,
    size: int,
    contract: Any,
    samples: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> SampleSplit:
    """Returns samples that can be read, spread over folders; `skipped` has those that cannot.

    Args:
        source: from `list_plain`.
        modality: reads a sample.
        size: of an input, in the modality's unit.
        contract: what the network expects of raw values.
        samples: how many are opened, at most.
        seed: of the choice.
        progress: told of samples read.

    Raises:
        DataError: none can be read.
    """
    folders = {record.path: record.label for record in source.records}
    rows = draw_evenly(tuple(folders.values()), samples=samples, seed=seed)
    opened = tuple(replace(source.records[row], label="") for row in rows)
    inspection = inspect_source(
        replace(source, records=opened),
        modality,
        near_duplicates=False,
        refuse_conflicts=False,
        progress=progress,
    )
    skipped = inspection.to_audit().skipped
    if not inspection.records:
        raise DataError(
            f"--calibration {str(source.root)!r}: expected {modality.plural} that can be read. "
            f"Received: none of {len(opened):,}, such as {skipped[0].path!r}: "
            f"{skipped[0].detail}."
        )
    return SampleSplit(
        name="calibration",
        root=source.root,
        records=tuple(replace(x, label=folders[x.path]) for x in inspection.records),
        labels=(),
        targets=np.zeros((len(inspection.records), 0), np.float32),
        modality=modality,
        size=size,
        contract=contract,
        skipped=skipped,
        fingerprints=tuple(shorten_sha256(sha256) for sha256 in inspection.sha256s),
    )
