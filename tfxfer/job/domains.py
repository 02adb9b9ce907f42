"""How much each sample of a training counts and is drawn, by its source and by the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tfxfer.adaptation.density_ratio import estimate_ratios
from tfxfer.adaptation.domain_record import DomainRow, Domains
from tfxfer.adaptation.domains import (
    Transfer,
    measure_distances,
    measure_transfer,
    weigh_domains,
)
from tfxfer.adaptation.reweighting import Reweighting, make_reweighting
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleData
from tfxfer.data.slice_table import complete_slices
from tfxfer.errors import RunError
from tfxfer.evaluation.scoring import score_predictions
from tfxfer.inference.embedding import embed
from tfxfer.job.domain_source import check_counts
from tfxfer.job.prepare import Prepared
from tfxfer.job.sample_weights import read_weights, write_weights
from tfxfer.job.target import Target
from tfxfer.progress import Progress
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.label_search import list_groups

__all__ = ["check_domains", "record_domain_tests", "weigh_samples"]

_WEIGHTS = "weights.csv"


def check_domains(prepared: Prepared, data: SampleData, run: RunDirectory | None) -> None:
    """Refuses sources of which too little is usable, or that are others than a run began with.

    Args:
        prepared: what to train.
        data: its samples, audited and split.
        run: that is gone on with; None begins one.

    Raises:
        DataError: a source of too few samples.
        RunError: samples whose source is another one by now.
    """
    column, asked = prepared.domain, prepared.request.domain
    if column is None or asked is None:
        return
    records = data.train.records + data.val.records + data.test.records
    check_counts(asked, records, column, data.train.modality)
    if run is None or not run.slices_path.is_file():
        return
    bare = Source(data.train.root, tuple(replace(record, slices=()) for record in records), "csv")
    before = complete_slices(bare, run.slices_path).records
    for record, known in zip(records, before, strict=True):
        if dict(record.slices)[column] != dict(known.slices).get(column):
            raise RunError(
                f"run {str(run.path)!r}: expected the sources that it was started with. Received: "
                f"{record.path!r} in another one. Train anew with another --out."
            )


def weigh_samples(
    run: RunDirectory,
    prepared: Prepared,
    model: Any,
    data: SampleData,
    target: Target | None,
    progress: Progress | None,
    on_warning: Callable[[str], None] | None,
) -> SampleData:
    """Returns the samples with what each counts, and how the training draws them.

    A run that is gone on with has that in its files; else it is measured on pooled features of the
    model, and written.

    Args:
        run: whose lock is held.
        prepared: what to train.
        model: with the weights that the training begins with.
        data: the samples.
        target: the look that counts.
        progress: told how far it is.
        on_warning: gets a line where few samples are left to learn from.
    """
    request = prepared.request
    if prepared.domain is None and request.reweight is None:
        return data
    place = run.trust / _WEIGHTS
    if not place.is_file():  # it is written last
        weights = _measure(run, prepared, model, data, target, progress)
        write_weights(place, data.train.paths, weights)
    reweighting = Reweighting.read(run.trust) if request.reweight else None
    warning = None if reweighting is None else reweighting.find_warning()
    if warning is not None and on_warning is not None:
        on_warning(warning)
    # Read, also where they were measured just now: what is gone on with has no more than that.
    train = replace(data.train, weights=read_weights(place, data.train.paths))
    if prepared.domain is not None and request.reweight is None:
        train = replace(train, domains=_number_domains(data, prepared.domain)[1])
    return replace(data, train=train)


def record_domain_tests(
    run: RunDirectory, prepared: Prepared, data: SampleData, scores: np.ndarray
) -> None:
    """Adds how the trained model does on the test samples of each source to the run's record.

    Args:
        run: whose lock is held.
        prepared: what was trained.
        data: its samples.
        scores: of the test samples.

    Shapes: scores (samples, outputs).
    """
    record = None if prepared.domain is None else Domains.read(run.trust)
    if record is None or prepared.domain is None:
        return
    cells = np.array(data.test.slices[prepared.domain])
    head, labels, seed = prepared.head, data.labels, prepared.request.seed
    everything = score_predictions(data.test.targets, scores, head=head, labels=labels, seed=seed)
    metric = str(everything["headline"])
    rows = []
    for row in record.rows:
        chosen, figure = cells == row.name, None
        if chosen.any():
            found = score_predictions(
                data.test.targets[chosen], scores[chosen], head=head, labels=labels, seed=seed
            )
            figure = Estimate.of(found[metric]) if metric in found else None
        rows.append(replace(row, tested=int(chosen.sum()), test=figure))
    replace(record, rows=tuple(rows), test_metric=metric).write(run.trust)


def _measure(
    run: RunDirectory,
    prepared: Prepared,
    model: Any,
    data: SampleData,
    target: Target | None,
    progress: Progress | None,
) -> np.ndarray:
    """Returns how much each training sample counts, and writes the records of why."""
    request = prepared.request
    names, numbers = _number_domains(data, prepared.domain)
    features = other = None
    if target is not None or not _find_fault(prepared, names):
        features = embed(model, data.train, progress=progress)
    if target is not None:
        other = embed(model, target.samples, progress=progress)
    groups = list_groups(data, parts=("train",))
    weights = np.ones(len(data.train), np.float32)
    if prepared.domain is not None:
        record = _compare(prepared, data, features, names, numbers, other, groups, progress)
        by_name = {row.name: row.weight for row in record.rows}
        weights = np.array([by_name[names[number]] for number in numbers.tolist()], np.float32)
        record.write(run.trust)
    if request.reweight is not None:
        assert features is not None
        assert other is not None  # the request was refused without a target
        _say(progress, "weighing the samples", 0)
        found = estimate_ratios(features, other, seed=request.seed, groups=groups)
        _say(progress, "weighing the samples", 1)
        make_reweighting(found, data.train.paths, len(other)).write(run.trust)
        weights = found.weights
    return weights


def _compare(
    prepared: Prepared,
    data: SampleData,
    features: np.ndarray | None,
    names: list[str],
    numbers: np.ndarray,
    target: np.ndarray | None,
    groups: list[str],
    progress: Progress | None,
) -> Domains:
    """Returns the record of the sources, before anything is trained."""
    request, column = prepared.request, str(prepared.domain)
    _say(progress, "comparing the sources", 0)
    is_drawn = request.reweight is None
    distances: list[float | None] = [None] * len(names)
    weights = np.ones(len(names))
    if features is not None and target is not None:
        found = measure_distances(features, numbers, target, seed=request.seed)
        distances = [float(value) for value in found]
        weights = weigh_domains(found) if is_drawn else weights
    metric, note = "", _find_fault(prepared, names)
    transfers = tuple(Transfer(0, None, None) for _ in names)
    if features is not None and not note:
        metric, measured = measure_transfer(
            features, data.train.targets, numbers, head=prepared.head, labels=data.labels,
            groups=groups, seed=request.seed,
        )  # fmt: skip
        transfers = measured or transfers
        note = "" if measured else "not measured: no probe tells labels of these samples apart"
    rows = [
        DomainRow(
            name,
            samples=int((numbers == number).sum()),
            weight=float(weights[number]),
            distance=distances[number],
            probed=transfers[number].samples,
            seen=transfers[number].seen,
            unseen=transfers[number].unseen,
        )
        for number, name in enumerate(names)
    ]
    if request.leave_out is not None:
        rows.append(DomainRow(request.leave_out, 0))
    _say(progress, "comparing the sources", 1)
    ordered = tuple(sorted(rows, key=lambda row: row.name))
    return Domains(column, request.leave_out, is_drawn, ordered, metric, note)


def _find_fault(prepared: Prepared, names: list[str]) -> str:
    """Returns why no probe could say anything of sources; empty where one may."""
    if prepared.request.weights == "none":
        return "not measured: the weights are random, and know nothing yet"
    return "" if len(names) > 1 else "not measured: one source is learnt from"


def _number_domains(data: SampleData, column: str | None) -> tuple[list[str], np.ndarray]:
    """Returns the sources of the training samples, and the number of each sample's.

    Without a column there is one, of no name.
    """
    if column is None:
        return [""], np.zeros(len(data.train), np.int64)
    cells = data.train.slices[column]
    names = sorted(set(cells))
    places = {name: number for number, name in enumerate(names)}
    return names, np.array([places[cell] for cell in cells], np.int64)


def _say(progress: Progress | None, what: str, done: int) -> None:
    if progress is not None:
        progress(what, done, 1)
