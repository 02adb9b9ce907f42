"""Samples of several sources, checked before anything is trained; and which of them tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tfxfer.data.columns import SOURCE_FOLDERS
from tfxfer.data.folders import FOLDER_COLUMN
from tfxfer.data.record import Record, Source
from tfxfer.data.slice_table import list_columns, list_slices
from tfxfer.data.split import DEFAULT_FRACTIONS
from tfxfer.errors import DataError, UsageError
from tfxfer.job.request import TrainRequest
from tfxfer.modality import Modality
from tfxfer.system.spelling import did_you_mean

__all__ = [
    "FEWEST_SAMPLES",
    "MOST_DOMAINS",
    "check_counts",
    "find_domain_column",
    "leave_out_domain",
    "split_fractions",
]

FEWEST_SAMPLES = 10
"""Of a source: fewer leave one or none in the parts that choose and test."""

MOST_DOMAINS = 50
"""A column with more values says who or when, not where from: that is what `group` is for."""


def find_domain_column(
    request: TrainRequest,
    source: Source,
    modality: Modality,
    meanings: Mapping[str, Sequence[str]],
) -> str | None:
    """Returns the slice that says where samples are from; None where nobody asked for sources.

    Args:
        request: what was asked for.
        source: the samples, with their slices.
        modality: what to call a sample.
        meanings: what each raw label names.

    Raises:
        UsageError: a column that is not there, or might be two things.
        DataError: samples that say nothing, or sources that are no sources.
    """
    if request.domain is None:
        return None
    column = _choose_column(request.domain, source)
    cells = list_slices(source.records)[column]
    empty = [record.path for record, cell in zip(source.records, cells, strict=True) if not cell]
    if empty:
        raise DataError(
            f"--domain {request.domain}: expected where each of the {modality.plural} is from. "
            f"Received: {len(empty):,} without a {column!r}, first {empty[0]!r}. Fill it in."
        )
    names = sorted(set(cells))
    if not 2 <= len(names) <= MOST_DOMAINS:
        received = f"{names[0]!r} alone" if len(names) == 1 else f"{len(names):,} values"
        fix = (
            "Leave --domain out."
            if len(names) == 1
            else "Of patients or bursts, name the column 'group'."
        )
        raise DataError(
            f"--domain {request.domain}: expected 2 to {MOST_DOMAINS} sources. "
            f"Received: {received} in {column!r}. {fix}"
        )
    labels: dict[str, set[str]] = {name: set() for name in names}
    for record, cell in zip(source.records, cells, strict=True):
        labels[cell].update(meanings[record.label])
    for name in names:
        if len(labels[name]) < 2:
            only = ", ".join(map(repr, labels[name])) or "no label"
            raise DataError(
                f"--domain {request.domain}: expected two labels or more of each source. Received: "
                f"{only} alone in {name!r}: what is learnt would be the source. Add "
                f"{modality.plural} of other labels to it, or take it out."
            )
    check_counts(request.domain, source.records, column, modality)
    _check_left_out(request, source, labels, modality)
    return column


def check_counts(asked: str, records: Sequence[Record], column: str, modality: Modality) -> None:
    """Refuses a source of too few samples.

    Args:
        asked: what `--domain` named.
        records: the samples, as listed or as they were found usable.
        column: the slice that says where they are from.
        modality: what to call them.

    Raises:
        DataError: there is one.
    """
    cells = list_slices(records)[column]
    for name in sorted(set(cells)):
        count = cells.count(name)
        if count < FEWEST_SAMPLES:
            raise DataError(
                f"--domain {asked}: expected {FEWEST_SAMPLES} {modality.plural} or more of each "
                f"source. Received: {count} of {name!r}. Add some, or take it out."
            )


def leave_out_domain(source: Source, request: TrainRequest, column: str | None) -> Source:
    """Returns the samples, those of `--leave-out` as the test.

    Args:
        source: the samples, as `find_domain_column` found them right.
        request: what was asked for.
        column: the slice that says where they are from.
    """
    if request.leave_out is None or column is None:
        return source
    records = tuple(
        replace(record, split="test")
        if dict(record.slices)[column] == request.leave_out
        else record
        for record in source.records
    )
    return replace(source, records=records)


def split_fractions(request: TrainRequest) -> tuple[float, float, float]:
    """Returns the shares of train, val and test; where a source is the test, of the others.

    Example:
        >>> split_fractions(TrainRequest("d", "b", domain="camera", leave_out="x"))[2]
        0.0
    """
    if request.leave_out is None:
        return DEFAULT_FRACTIONS
    train, val, _ = DEFAULT_FRACTIONS
    return train / (train + val), val / (train + val), 0.0


def _choose_column(asked: str, source: Source) -> str:
    columns = list_columns(source.records)
    name = asked.strip().lower()
    in_folders = name == SOURCE_FOLDERS and source.kind != "csv"
    if in_folders and SOURCE_FOLDERS in columns:
        raise UsageError(
            f"--domain {SOURCE_FOLDERS}: expected one thing of that name. Received: a folder of "
            f"sources, and a column {SOURCE_FOLDERS!r} in --slices. Rename the column."
        )
    if in_folders:
        return FOLDER_COLUMN
    if name in columns:
        return name
    has = f"the columns {', '.join(map(repr, columns))}" if columns else "no further column"
    raise UsageError(
        f"--domain {asked!r}: expected a column of the data, or {SOURCE_FOLDERS!r} where DATA "
        f"holds one folder a source. Received: data that has {has}."
        f"{did_you_mean(name, columns)} A table of columns beside the data: --slices FILE.csv"
    )


def _check_left_out(
    request: TrainRequest, source: Source, labels: Mapping[str, set[str]], modality: Modality
) -> None:
    asked = request.leave_out
    if asked is None:
        return
    if asked not in labels:
        raise UsageError(
            f"--leave-out {asked!r}: expected one of the sources, "
            f"{', '.join(map(repr, labels))}. Received: another name."
            f"{did_you_mean(asked, labels)}"
        )
    own = next((record for record in source.records if record.split), None)
    if own is not None:
        raise UsageError(
            f"--leave-out {asked!r}: expected {modality.plural} without parts of their own, since "
            f"that source is the test. Received: {own.path!r} in {own.split}. Take the parts out "
            "of the data."
        )
    others = set().union(*(found for name, found in labels.items() if name != asked))
    unknown = sorted(labels[asked] - others)
    if unknown:
        raise DataError(
            f"--leave-out {asked!r}: expected labels that other sources have, too. Received: "
            f"{unknown[0]!r} in that one alone, which nobody could learn. Take it out."
        )
