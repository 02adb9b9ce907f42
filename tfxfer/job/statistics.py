"""`--keep statistics`: the last layer from where the classes' features lie, old ones and new."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.adaptation.last_layer import fold_head
from tfxfer.adaptation.linear_head import LinearHead
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError, RunError, UsageError
from tfxfer.inference.embedding import embed
from tfxfer.job.earlier import EarlierRun, find_statistics, list_split_files
from tfxfer.job.fisher import load_learnt
from tfxfer.job.prepare import Prepared
from tfxfer.keeping.statistics import (
    ClassStatistics,
    add_statistics,
    fit_discriminant,
    measure_statistics,
    read_statistics,
    write_statistics,
)
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.stages import get_info

__all__ = ["check_statistics", "keep_statistics"]

_PARTS = ("train", "val")
"""Whose samples are summed up.

Features scatter less where a network was trained on the samples themselves; those of validation,
which it was not trained on, say how much others will. Of three classes of flowers, two more being
learnt, four networks lost 2.4 points in the mean with them and 2.9 without: 1.6 and 2.3, 1.8 and
3.4, 3.1 and 2.1, 3.5 and 3.8.
"""

_PROBED = 64  # samples on which the layer and the fit are compared


def check_statistics(prepared: Prepared, data: SampleData) -> None:
    """Refuses `--keep statistics` where it would fail, before anything is trained.

    Raises:
        UsageError: samples of which one may have several labels.
        DataError: none that the earlier run has not learnt from.
        RunError: labels of which nothing is left.
    """
    if prepared.request.keep != "statistics":
        return
    earlier = prepared.earlier
    splits = [_select_new(split, earlier) for split in (data.train, data.val)]
    if not any(map(len, splits)):
        raise DataError(
            f"--keep statistics: expected new {data.train.modality.plural}. Received: only those "
            f"that run {prepared.request.from_run!r} learnt from."
        )
    classes = np.concatenate([_find_classes(prepared, split) for split in splits if len(split)])
    if earlier is None:
        return
    path = find_statistics(earlier.run)
    if path.is_file():
        known = set(read_statistics(path).labels)
    else:
        known = {record.label for record in earlier.find_learnt(len(earlier.rows), _PARTS)}
    known |= {data.labels[k] for k in np.unique(classes).tolist()}
    lost = [label for label in data.labels if label not in known]
    if lost:
        raise RunError(
            f"--keep statistics: expected what run {prepared.request.from_run!r} has stored of "
            f"its classes, or samples that it learnt from. Received: nothing of {lost[0]!r}. Put "
            "its samples back, or hold on with --keep distill or l2sp."
        )


def keep_statistics(
    run: RunDirectory,
    prepared: Prepared,
    model: Any,
    data: SampleData,
    progress: Progress | None,
) -> None:
    """Fits the last layer to the classes of an earlier run and to the new ones alike.

    What was known of the earlier ones comes from what that run has stored, or from its photos. What
    is known of all of them is stored in this run, for the next. Without an earlier run that is all
    that is done. Nothing is, unless it was asked for.

    Args:
        run: whose lock is held.
        prepared: what was trained.
        model: trained; its last layer may change.
        data: its samples.
        progress: told of samples done.

    Raises:
        DataError: no sample of some label.
    """
    if prepared.request.keep != "statistics":
        return
    earlier = prepared.earlier
    splits = [_select_new(split, earlier) for split in (data.train, data.val)]
    splits = [split for split in splits if len(split)]
    features = np.concatenate([embed(model, split, progress=progress) for split in splits])
    classes = np.concatenate([_find_classes(prepared, split) for split in splits])
    found = measure_statistics(features, classes, data.labels)
    if earlier is not None:
        found = add_statistics(_recall(earlier, progress), found)
        head = LinearHead(*fit_discriminant(found, data.labels))
        fold_head(model, head, features[:_PROBED])
    write_statistics(find_statistics(run), found)


def _recall(earlier: EarlierRun, progress: Progress | None) -> ClassStatistics:
    path = find_statistics(earlier.run)
    if path.is_file():
        return read_statistics(path)
    split = load_learnt(earlier, len(earlier.rows), _PARTS)
    classes = get_info(earlier.model).head.find_classes(split.targets)
    assert classes is not None  # those of its own training had one label each
    features = embed(earlier.model, split, progress=progress)
    return measure_statistics(features, classes, earlier.manifest.labels)


def _select_new(split: SampleSplit, earlier: EarlierRun | None) -> SampleSplit:
    """Returns samples that the earlier run did not have: the others are in its own sums."""
    if earlier is None:
        return split
    rows = earlier.rows
    if find_statistics(earlier.run).is_file():
        # What it has stored holds the sums of all the runs that it went on from.
        files = list_split_files(earlier.run, earlier.manifest)
        rows = tuple(row for path in files for row in read_split_table(path))
    known = {row.fingerprint for row in rows if row.split in _PARTS and row.fingerprint}
    return split.select(np.array([mark not in known for mark in split.fingerprints], bool))


def _find_classes(prepared: Prepared, split: SampleSplit) -> np.ndarray:
    classes = prepared.head.find_classes(split.targets)
    if classes is None:
        raise UsageError(
            "--keep statistics: expected samples of which each has one label. "
            f"Received: head={prepared.head.name!r} with others. Leave it out."
        )
    return classes
