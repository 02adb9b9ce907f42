"""The samples of `--target`: listed and looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfxfer.adaptation.choice import FEWEST_SAMPLES
from tfxfer.data.audit import inspect_source
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.record import Record, Source, make_source
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import DataError
from tfxfer.head import Head
from tfxfer.inference.listing import list_samples
from tfxfer.job.unlabelled import make_unlabelled
from tfxfer.modality import Modality
from tfxfer.progress import Progress

__all__ = ["Target", "list_target", "load_target"]

_UNKNOWN = ""


@dataclass(frozen=True, eq=False)
class Target:
    """The look that counts.

    Args:
        samples: all of it, in which no sample has a label: what is learnt from.
        labelled: those in folders named as the labels are, with them: what is tested on; None
            where there are none.
        left_out: how many could not be read.
    """

    samples: SampleSplit
    labelled: SampleSplit | None
    left_out: int


def list_target(folder: str, data: str, modality: Modality) -> Source:
    """Lists the samples of a target, none of them opened and none with a label.

    Args:
        folder: that `--target` names; its samples may lie at any depth.
        data: the labelled samples, which must lie elsewhere.
        modality: says which files are samples.

    Raises:
        DataError: no folder, one without samples or with too few, or that of the labelled ones.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing at that path"
        raise DataError(
            f"--target {folder!r}: expected a folder of {modality.plural} without labels. "
            f"Received: {what}."
        )
    if root.resolve() == Path(data).resolve():
        raise DataError(
            f"--target {folder!r}: expected {modality.plural} of another look than the labelled "
            "ones. Received: the same folder. Leave --target out."
        )
    found = list_samples(str(root), modality)
    _check_count(len(found), folder, modality)
    records = [
        Record(Path(str(sample.path)).relative_to(root).as_posix(), _UNKNOWN) for sample in found
    ]
    return make_source(root.resolve(), records, (), modality, kind="folders")


def load_target(
    source: Source, data: SampleData, head: Head, *, progress: Progress | None = None
) -> Target:
    """Reads a target once; what cannot be read is left out.

    Args:
        source: from `list_target`.
        data: the labelled samples.
        head: of the task, which reads labels.
        progress: told of samples read.

    Raises:
        DataError: too few that can be read, samples that the labelled ones hold, too, or labels of
            which there is only one.
    """
    modality = data.train.modality
    inspection = inspect_source(
        source, modality, near_duplicates=False, refuse_conflicts=False, progress=progress
    )
    shown = str(source.root)
    _check_count(len(inspection.records), shown, modality)
    prints = tuple(shorten_sha256(sha256) for sha256 in inspection.sha256s)
    splits = (data.train, data.val, data.test)
    known = {name for split in splits for name in split.fingerprints}
    shared = sum(name in known for name in prints)
    if shared == len(prints):
        raise DataError(
            f"--target {shown!r}: expected {modality.plural} of another look than the labelled "
            f"ones. Received: {shared:,} {modality.plural}, all of which are labelled samples, "
            "too. Leave --target out."
        )
    samples = make_unlabelled("target", source.root, inspection.records, data, prints)
    # A sample that was learnt from with its label tests nothing.
    fresh = np.array([name not in known for name in prints])
    labelled = _find_labelled(samples, head, fresh, shown)
    return Target(samples, labelled, len(source.records) - len(inspection.records))


def _find_labelled(
    samples: SampleSplit, head: Head, fresh: np.ndarray, shown: str
) -> SampleSplit | None:
    """Returns the samples whose folder is named as a label is."""
    names = [_read_folder(record.path, samples.labels) for record in samples.records]
    chosen = np.array([name is not None for name in names]) & fresh
    if not chosen.any():
        return None
    raw = [name for name, is_chosen in zip(names, chosen.tolist(), strict=True) if is_chosen]
    if len(set(raw)) == 1 and chosen.all():
        raise DataError(
            f"--target {shown!r}: expected {samples.modality.plural} of two labels or more. "
            f"Received: {len(raw):,} of {raw[0]!r} alone, to which a model would be bent. Add "
            f"{samples.modality.plural} of other labels, or leave --target out."
        )
    part = samples.select(chosen)
    texts = [str(name) for name in raw]
    records = tuple(
        replace(record, label=text) for record, text in zip(part.records, texts, strict=True)
    )
    targets = np.asarray(head.encode(texts, samples.labels), np.float32)
    return replace(part, records=records, targets=targets)


def _read_folder(path: str, labels: Sequence[str]) -> str | None:
    """Returns the label that a sample lies under; the innermost folder that is named as one is."""
    for part in reversed(Path(path).parts[:-1]):
        if part in labels:
            return part
    return None


def _check_count(count: int, shown: str, modality: Modality) -> None:
    if count < FEWEST_SAMPLES:
        raise DataError(
            f"--target {shown!r}: expected {FEWEST_SAMPLES} {modality.plural} or more that can be "
            f"read. Received: {count}. Add {modality.plural}; they need no labels."
        )
