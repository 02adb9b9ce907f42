"""`--keep statistics`: the last layer from where the classes' features lie, old ones and new."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.adaptation.last_layer import fold_head
from tfxfer.adaptation.linear_head import LinearHead
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import UsageError
from tfxfer.inference.embedding import embed
from tfxfer.job.earlier import EarlierRun, find_statistics
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
from tfxfer.trust.likelihood import Likelihood

__all__ = ["check_one_label", "keep_statistics"]

_PROBED = 64  # samples on which the layer and the fit are compared


def check_one_label(prepared: Prepared, data: SampleData) -> None:
    """Refuses samples of which one may have several labels, before anything is trained.

    Raises:
        UsageError: `--keep statistics` of such.
    """
    if prepared.request.keep == "statistics":
        _find_classes(prepared, data.train)


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
    split, earlier = _select_new(data.train, prepared.earlier), prepared.earlier
    features = embed(model, split, progress=progress)
    classes = _find_classes(prepared, split)
    found = measure_statistics(features, classes, data.labels)
    if earlier is not None:
        found = add_statistics(_recall(earlier, progress), found)
        kernel, bias = fit_discriminant(found, data.labels)
        logits = np.asarray(features, np.float64) @ kernel + bias
        truth = np.eye(len(data.labels))[classes]
        temperature = Likelihood(logits, truth, "softmax").likeliest
        head = LinearHead(kernel / temperature, bias / temperature)
        fold_head(model, head, features[:_PROBED])
    write_statistics(find_statistics(run), found)


def _recall(earlier: EarlierRun, progress: Progress | None) -> ClassStatistics:
    path = find_statistics(earlier.run)
    if path.is_file():
        return read_statistics(path)
    split = load_learnt(earlier, len(earlier.rows))
    classes = get_info(earlier.model).head.find_classes(split.targets)
    assert classes is not None  # those of its own training had one label each
    features = embed(earlier.model, split, progress=progress)
    return measure_statistics(features, classes, earlier.manifest.labels)


def _select_new(train: SampleSplit, earlier: EarlierRun | None) -> SampleSplit:
    """Returns samples that the earlier run has not learnt from: the others are in its own sums."""
    if earlier is None:
        return train
    known = {row.fingerprint for row in earlier.rows if row.split == "train" and row.fingerprint}
    return train.select(np.array([mark not in known for mark in train.fingerprints], bool))


def _find_classes(prepared: Prepared, split: SampleSplit) -> np.ndarray:
    classes = prepared.head.find_classes(split.targets)
    if classes is None:
        raise UsageError(
            "--keep statistics: expected samples of which each has one label. "
            f"Received: head={prepared.head.name!r} with others. Leave it out."
        )
    return classes
