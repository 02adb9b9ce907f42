"""`--style`: samples of another look, read before training, and what training makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.adaptation.mixing import MixStyle, has_maps
from tfxfer.adaptation.style_record import StyleMethod, StyleRecord
from tfxfer.data.audit import inspect_source
from tfxfer.data.identity import shorten_sha256
from tfxfer.data.looks import Looks, measure_looks
from tfxfer.data.samples import SampleData
from tfxfer.errors import DataError
from tfxfer.job.prepare import Prepared
from tfxfer.job.style_choice import choose_method
from tfxfer.job.unlabelled import digest_unlabelled, make_unlabelled
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.training.batches import Change
from tfxfer.training.plan import FitPlan

__all__ = ["Style", "read_style", "record_style"]

_MOST_SAMPLES = 500
"""Samples that give their look; of a folder with more, these are drawn."""


@dataclass(frozen=True, eq=False)
class Style:
    """Another look, as training takes it.

    Args:
        method: how samples are given it.
        folder: where its samples lie.
        samples: how many they are.
        digest: of their contents.
        left_out: how many could not be read.
        not_drawn: how many were not needed.
        looks: which views get; None where none do.
        change: what activations get, see `tfxfer.Control`; None where they get nothing.
    """

    method: StyleMethod
    folder: str
    samples: int
    digest: str
    left_out: int
    not_drawn: int
    looks: Looks | None
    change: Callable[[Any, str | None], Change | None] | None


def read_style(
    prepared: Prepared, data: SampleData, progress: Progress | None = None
) -> Style | None:
    """Returns the look of `--style`, its samples read; None where none was asked for.

    Args:
        prepared: what to train.
        data: its samples, of the size that training sees.
        progress: told of samples read.

    Raises:
        DataError: none that can be read, or nothing but copies of the labelled samples.
    """
    source, method = prepared.style, choose_method(prepared.request)
    if source is None or method is None:
        return None
    modality, seed, shown = data.train.modality, prepared.request.seed, str(source.root)
    listed = len(source.records)
    if listed > _MOST_SAMPLES:
        drawn = np.sort(np.random.default_rng(seed).permutation(listed)[:_MOST_SAMPLES])
        source = replace(source, records=tuple(source.records[i] for i in drawn.tolist()))
    inspection = inspect_source(
        source, modality, near_duplicates=False, refuse_conflicts=False, progress=progress
    )
    count = len(inspection.records)
    if not count:
        raise DataError(
            f"--style {shown!r}: expected {modality.plural} that can be read. Received: none "
            f"among {len(source.records):,}. Add {modality.plural}; they need no labels."
        )
    prints = tuple(shorten_sha256(sha256) for sha256 in inspection.sha256s)
    known = {x for part in (data.train, data.val, data.test) for x in part.fingerprints}
    if known.issuperset(prints):
        raise DataError(
            f"--style {shown!r}: expected {modality.plural} of another look than the labelled "
            f"ones. Received: {count:,} {modality.plural}, all of which are labelled samples, "
            "too. Leave --style out."
        )
    samples = make_unlabelled("style", source.root, inspection.records, data, prints)
    return Style(
        method=method,
        folder=shown,
        samples=count,
        digest=digest_unlabelled(prints),
        left_out=len(source.records) - count,
        not_drawn=listed - len(source.records),
        looks=None if method == "mixstyle" else measure_looks(samples, progress=progress),
        change=None if method == "fda" else MixStyle(samples, seed, progress),
    )


def record_style(run: RunDirectory, style: Style | None, model: Any, plan: FitPlan) -> None:
    """Writes what the training was given of another look; nothing without a style.

    Args:
        run: whose lock is held.
        style: of the training.
        model: of the run.
        plan: its phases.
    """
    if style is None:
        return
    mixed = [
        item.phase.name
        for item in plan.phases
        if style.change is not None and item.cached and has_maps(model, item.cut)
    ]
    StyleRecord(
        method=style.method,
        folder=style.folder,
        samples=style.samples,
        left_out=style.left_out,
        not_drawn=style.not_drawn,
        views=None if style.looks is None else style.looks.share,
        mixed=tuple(mixed),
    ).write(run.trust)
