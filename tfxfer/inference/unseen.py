"""Samples that a model has not learnt from: a figure on any other flatters it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tfxfer.data.loading import load_split
from tfxfer.data.provenance import Provenance
from tfxfer.data.record import Source
from tfxfer.data.samples import SampleSplit
from tfxfer.data.sources import read_source
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError
from tfxfer.inference.own_run import find_own_run, remember_columns
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.provenance import infer_provenance
from tfxfer.inference.scoring import load_own_test
from tfxfer.progress import Progress
from tfxfer.run.seals import check_sealed

__all__ = ["UNKNOWN", "Unseen", "leave_out_known", "load_unseen"]

UNKNOWN = "nothing is known of what this model was trained on: some of these may be among it"


@dataclass(frozen=True, eq=False)
class Unseen:
    """Samples to measure a model on.

    Args:
        split: the samples.
        is_known: whether the model, or its run, says what it was trained on.
        left_out: how many were left out because it was trained or chosen on them.
        remarks: what a person must be told of this, a line each.
    """

    split: SampleSplit
    is_known: bool
    left_out: int
    remarks: tuple[str, ...]


def load_unseen(
    model: str | Path,
    data: str | Path,
    predictor: Predictor,
    *,
    source: Source | None = None,
    progress: Progress | None = None,
) -> Unseen:
    """Returns the samples of DATA that a model has not learnt from.

    Of the folder that a run was trained on that is its test split, without files whose place a
    training sample has taken. Of any other data it is what differs in content from all that the
    model's file names.

    Args:
        model: a run, or a model file.
        data: a folder or a CSV.
        predictor: of the model.
        source: the samples of DATA, listed already.
        progress: told of files read.

    Raises:
        DataError: data without a usable sample, or none but those it was trained on.
    """
    if source is None:
        source = read_source(data, predictor.modality, remember_columns(model), progress=progress)
    own = load_own_test(model, data, predictor, source=source, progress=progress)
    if own is not None:
        words = f"{str(data)!r} is what this run was trained on: only its test split is measured"
        found = leave_out_known(own, predictor.provenance, path=Path(model))
        changed = _describe_changed(own, model, data)
        return replace(
            found, is_known=True, remarks=(words, *found.remarks, *([changed] if changed else []))
        )
    split = load_split(
        source,
        modality=predictor.modality,
        size=predictor.size,
        contract=predictor.contract,
        head=predictor.head,
        labels=predictor.labels,
        progress=progress,
    )
    return leave_out_known(split, predictor.provenance, path=Path(model))


def leave_out_known(split: SampleSplit, provenance: Provenance | None, *, path: Path) -> Unseen:
    """Returns a split without what a model has learnt from.

    Args:
        split: samples with their fingerprints.
        provenance: of the model; None where it says nothing.
        path: of the model; where that says nothing, the run that it lies in counts.

    Raises:
        DataError: it has learnt from all of them.
    """
    if provenance is None:
        inferred, told = infer_provenance(path)
        if inferred is None:
            return Unseen(split, is_known=False, left_out=0, remarks=(UNKNOWN,))
        found = leave_out_known(split, inferred, path=path)
        return replace(found, is_known=False, remarks=(told, *found.remarks))
    known = provenance.find_known(split.fingerprints)
    count, plural = int(known.sum()), split.modality.plural
    if not count:
        return Unseen(split, is_known=True, left_out=0, remarks=())
    if known.all():
        raise DataError(
            f"data {str(split.root)!r}: expected {plural} that the model was not trained on. "
            f"Received: {count:,}, all of which it was. Give others."
        )
    words = (
        f"{count:,} of {len(split):,} {plural} are left out: this model was trained on them, or "
        "its best epoch was chosen by them"
    )
    return Unseen(split.select(~known), is_known=True, left_out=count, remarks=(words,))


def _describe_changed(own: SampleSplit, model: str | Path, data: str | Path) -> str:
    """Returns how many samples of a run's own test split hold something else by now."""
    run = find_own_run(model, data)
    assert run is not None, "it is the run's own test split"
    rows = read_split_table(check_sealed(run, run.split_path))
    before = {row.path: row.fingerprint for row in rows if row.fingerprint}
    now = dict(zip(own.paths, own.fingerprints, strict=True))
    changed = [path for path in now if path in before and now[path] != before[path]]
    if not changed:
        return ""
    return (
        f"{len(changed):,} of its {len(own):,} test {own.modality.plural} hold something else than "
        f"when it was trained, first {changed[0]!r}: its own figures are not of these"
    )
