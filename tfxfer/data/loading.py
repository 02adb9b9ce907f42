"""The whole way from DATA to three parts: list, audit, split, encode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tfxfer.data.audit import (
    Inspection,
    Problem,
    drop_small_strata,
    inspect_source,
    refuse_problems,
)
from tfxfer.data.contract import compare_contract
from tfxfer.data.earlier import Earlier, follow_split, keep_parts
from tfxfer.data.identity import make_keys, shorten_sha256
from tfxfer.data.labels import read_labels
from tfxfer.data.lengths import measure_lengths, picture_lengths
from tfxfer.data.record import Record, Source
from tfxfer.data.samples import SampleData, SampleSplit, hash_records
from tfxfer.data.sides import describe_small_parts, note_absent_labels, note_one_sided
from tfxfer.data.slice_table import list_slices
from tfxfer.data.sources import read_source
from tfxfer.data.split import (
    DEFAULT_FRACTIONS,
    PARTS,
    cross_strata,
    join_groups,
    split_records,
)
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import DataError, UsageError
from tfxfer.head import Head
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.system.arguments import (
    check_kind,
    check_number,
    check_texts,
    describe_value,
    is_real,
)

__all__ = ["load_samples", "load_split"]


def load_samples(
    path: str | Path | Source,
    *,
    modality: Modality,
    size: int,
    contract: Any,
    head: str | Head | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    labels: Sequence[str] | None = None,
    strict: bool = False,
    split_file: str | Path | None = None,
    split_from: str | Path | None = None,
    earlier: Earlier | None = None,
    near_duplicates: bool = True,
    least_size: int | None = None,
    domain: str | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> SampleData:
    """Returns the audited, split and encoded samples of DATA.

    Args:
        path: a folder of class folders, a folder with train/, val/ and test/, or a CSV; or a
            `Source` made by hand.
        modality: what the samples are.
        size: of a model's input, in the modality's unit.
        contract: a backbone's `preprocessing`.
        head: what the labels mean: a head, or the name of an installed one; None is the default
            head.
        seed: of the split and of the augmented views.
        fractions: shares of train, val and test, where DATA has none of its own.
        labels: names of the outputs, in order, where a model has settled them; None takes them
            from DATA.
        strict: refuse data of which anything would have to be left out.
        split_file: the split.csv of an earlier run, to be repeated.
        split_from: the split.csv of an earlier run, whose samples keep their parts, known by their
            content or else by their path; the others are split as ever. Not with `split_file`.
        earlier: the run that a training goes on from. Its labels come first, and may be of few
            samples or none; samples that it knows by their content keep their parts.
        near_duplicates: whether to keep near copies on one side of the split.
        least_size: where nobody asked for a size: how small an input may be. The modality then
            chooses by the training samples, and `size` is what it may go up to.
        domain: the slice that says where a sample is from: its values keep their shares in each
            part, too, label by label.
        progress: called while samples are read and compared.
        workers: threads; one per core by default.

    Raises:
        DataError: data that cannot be trained on; the message says what to do.
    """
    check_kind(
        modality,
        Modality,
        where="load_samples",
        name="modality",
        expected="what tfxfer.get_modality returns",
    )
    modality.check_contract(contract)
    _check_numbers(size, seed, modality)
    if labels is not None:
        labels = check_texts(
            labels, where=modality.plural, name="labels", expected="the outputs' names, or None"
        )
    # Told now, not once every sample has been read.
    if not isinstance(fractions, (tuple, list)) or not all(map(is_real, fractions)):
        raise UsageError(
            f"{modality.plural}: expected three numbers as fractions, of train, val and test. "
            f"Received: fractions={describe_value(fractions)}."
        )
    resolved = _resolve_head(head)
    source = path if isinstance(path, Source) else read_source(path, modality, progress=progress)
    if labels is not None:
        resolved.check_labels([record.label for record in source.records], labels)
    meanings = read_labels(source, resolved, modality)
    problems: list[Problem] = []
    rows: dict[str, SplitRow] = {}
    if split_file is not None:
        rows = {row.path: row for row in read_split_table(split_file)}
        source, problems = _choose_rows(source, rows, str(split_file))
    inspection = inspect_source(
        source,
        modality,
        # The groups are in the table then.
        near_duplicates=near_duplicates and not rows,
        refuse_conflicts=not rows,
        read_label=meanings,
        progress=progress,
        workers=workers,
    )
    if rows:
        _refuse_moved(inspection, rows, str(split_file), modality)
    inspection = replace(inspection, problems=inspection.problems + tuple(problems))
    if not inspection.records:
        _refuse_empty(inspection, modality)
    split_words = ""
    if rows:
        groups = join_groups([rows[r.path].group for r in inspection.records])
        parts = np.array([rows[r.path].split for r in inspection.records])
    else:
        if split_from is not None:
            inspection, split_words = follow_split(inspection, split_from, modality)
        if earlier is not None:
            inspection = keep_parts(inspection, earlier)
        inspection = _clean_parts(inspection)
        if resolved.complete_strata:
            strata = resolved.strata([record.label for record in inspection.records])
            inspection = drop_small_strata(
                inspection,
                strata,
                modality,
                listed=resolved.strata([record.label for record in source.records]),
                notes=source.notes,
                known=resolved.strata(earlier.labels) if earlier is not None else (),
            )
        groups = _all_groups(inspection)
        strata = resolved.strata([r.label for r in inspection.records])
        if domain is not None:
            strata = cross_strata(strata, list_slices(inspection.records)[domain])
        parts = split_records(
            strata,
            groups.tolist(),
            keys=make_keys(inspection.records, inspection.sha256s, groups.tolist()),
            fractions=fractions,
            seed=seed,
            stratify=True,
            given=[r.split for r in inspection.records],
        )
        if resolved.complete_strata:
            strata = resolved.strata([record.label for record in inspection.records])
            inspection = note_one_sided(inspection, strata, parts, modality)
    records = inspection.records
    raw = [record.label for record in records]
    contract, words = modality.fit_contract(contract, inspection.facts)
    lengths = _measure(source.root, records, modality, contract, progress)
    picture = None
    if lengths is not None:
        if least_size is not None:
            learnt = lengths[parts == "train"] if (parts == "train").any() else lengths
            size = max(least_size, modality.fit_size(learnt, size))
        picture = picture_lengths(lengths, size=size, unit=modality.size_unit)
        words = (*words, picture.describe(modality.plural))
    if labels is None:
        labels = (
            resolved.fit_labels(raw)
            if earlier is None
            else resolved.extend_labels(earlier.labels, raw)
        )
    labels = tuple(labels)
    targets = np.asarray(resolved.encode(raw, labels), np.float32)
    if not rows and resolved.can_balance and not resolved.complete_strata:
        inspection = note_absent_labels(inspection, targets, labels, parts, modality)
    said = (source.understood, resolved.describe_labels(raw), *source.notes, *words)
    audit = replace(
        inspection.to_audit(modality.plural, [line for line in said if line]), lengths=picture
    )
    if strict:
        refuse_problems(audit)
    fingerprints = [shorten_sha256(sha256) for sha256 in inspection.sha256s]
    splits = {}
    for name in PARTS:
        chosen = np.flatnonzero(parts == name)
        splits[name] = SampleSplit(
            name=name,
            root=source.root,
            records=tuple(records[i] for i in chosen),
            labels=labels,
            targets=targets[chosen],
            modality=modality,
            size=size,
            contract=contract,
            seed=seed,
            fingerprints=tuple(fingerprints[i] for i in chosen),
            lengths=None if lengths is None else lengths[chosen],
        )
    if not len(splits["train"]):
        raise DataError(
            f"data {str(source.root)!r}: expected {modality.plural} to learn from. Received: none "
            f"in train, {len(splits['val'])} in val, {len(splits['test'])} in test."
        )
    table = [
        SplitRow(record.path, record.label, str(part), records[group].path, fingerprint)
        for record, part, group, fingerprint in zip(
            records, parts, groups.tolist(), fingerprints, strict=True
        )
    ]
    return SampleData(
        **splits,
        labels=labels,
        audit=audit,
        fingerprint=hash_records([r.path for r in records], inspection.sha256s, raw),
        rows=tuple(table),
        facts=inspection.facts,
        split_words=split_words,
        doubts=describe_small_parts(parts, modality),
    )


def load_split(
    path: str | Path | Source,
    *,
    modality: Modality,
    size: int,
    contract: Any,
    head: str | Head | None,
    labels: Sequence[str],
    seed: int = 0,
    name: str = "test",
    progress: Progress | None = None,
    workers: int | None = None,
) -> SampleSplit:
    """Returns DATA as one part, with labels that are already settled: what evaluation needs.

    Where DATA has a part of that name, only that part is taken. Samples that cannot be read are
    left out and listed in `skipped`. The arguments are those of `load_samples`.

    Raises:
        DataError: no usable sample, or labels that the model does not have.
    """
    _check_numbers(size, seed, modality)
    resolved = _resolve_head(head)
    source = path if isinstance(path, Source) else read_source(path, modality, progress=progress)
    if any(record.split == name for record in source.records):
        chosen = tuple(record for record in source.records if record.split == name)
        source = replace(source, records=chosen)
    resolved.check_labels([record.label for record in source.records], labels)
    inspection = inspect_source(
        source,
        modality,
        near_duplicates=False,
        refuse_conflicts=False,
        read_label=read_labels(source, resolved, modality),
        progress=progress,
        workers=workers,
    )
    if not inspection.records:
        _refuse_empty(inspection, modality)
    raw = [record.label for record in inspection.records]
    return SampleSplit(
        name=name,
        root=source.root,
        records=inspection.records,
        labels=tuple(labels),
        targets=np.asarray(resolved.encode(raw, labels), np.float32),
        modality=modality,
        size=size,
        contract=contract,
        seed=seed,
        skipped=inspection.to_audit().skipped,
        notes=(*source.notes, *compare_contract(contract, inspection, modality)),
        fingerprints=tuple(shorten_sha256(sha256) for sha256 in inspection.sha256s),
        lengths=_measure(source.root, inspection.records, modality, contract, progress),
    )


def _measure(
    root: Path,
    records: Sequence[Record],
    modality: Modality,
    contract: Any,
    progress: Progress | None,
) -> np.ndarray | None:
    samples = [record.locate(root) for record in records]
    return measure_lengths(samples, modality, contract, progress=progress)


def _refuse_empty(inspection: Inspection, modality: Modality) -> NoReturn:
    first = inspection.to_audit().skipped[0]
    raise DataError(
        f"data: expected at least one {modality.noun} that can be used. Received: "
        f"{inspection.files:,} files, none of them; {first.path}: {first.kind}, {first.detail}."
    )


def _check_numbers(size: int, seed: int, modality: Modality) -> None:
    unit = f" ({modality.size_unit})" if modality.size_unit else ""
    check_number(size, where=f"{modality.noun} size{unit}", name="size", least=1)
    check_number(seed, where=modality.plural, name="seed", least=0)


def _resolve_head(head: str | Head | None) -> Head:
    if head is not None and not isinstance(head, str):
        check_kind(
            head,
            Head,
            where="data",
            name="head",
            expected="None, the name of one, or a tfxfer.Head",
        )
        return head
    from tfxfer.registry.lookup import get_head

    return get_head(head)


def _choose_rows(
    source: Source, rows: dict[str, SplitRow], table: str
) -> tuple[Source, list[Problem]]:
    """Returns the samples that the table names, and what it does not name as problems."""
    known = {record.path: record for record in source.records}
    # Samples of the run that it goes on from lie elsewhere, and the table alone knows them.
    elsewhere = [
        Record(path, row.label)
        for path, row in rows.items()
        if path not in known and Path(path).is_absolute() and Path(path).is_file()
    ]
    known |= {record.path: record for record in elsewhere}
    lost = sorted(set(rows) - set(known))
    if lost:
        raise DataError(
            f"split table {table!r}: expected every sample of it in {str(source.root)!r}. "
            f"Received: {len(lost):,} that are gone, first {lost[0]!r}. "
            "Put them back, or start a new run."
        )
    for path, row in rows.items():
        if known[path].label != row.label:
            raise DataError(
                f"split table {table!r}: expected the labels of the earlier run. Received: "
                f"{path!r} is {known[path].label!r} now and was {row.label!r}. Start a new run."
            )
    chosen = tuple(record for record in known.values() if record.path in rows)
    problems = [
        Problem(record.path, "ignored", "not in the split table", False)
        for record in source.records
        if record.path not in rows
    ]
    return replace(source, records=chosen), problems


def _refuse_moved(
    inspection: Inspection, rows: Mapping[str, SplitRow], table: str, modality: Modality
) -> None:
    """Refuses cells of a table whose lines have moved since it was split.

    A line more at the top, and each sample would have the place of its neighbour: what was learnt
    from would be tested with.
    """
    for record, sha256 in zip(inspection.records, inspection.sha256s, strict=True):
        known = rows[record.path].fingerprint
        if record.content is not None and known and known != shorten_sha256(sha256):
            raise DataError(
                f"split table {table!r}: expected the {modality.plural} of the earlier run, line "
                f"by line. Received: {record.path!r}, which is another {modality.noun} now. Put "
                "the table back as it was; to use it as it is now, start a new run, or give it "
                "another name."
            )


def _clean_parts(inspection: Inspection) -> Inspection:
    """Leaves out copies of test images in train and val, and of val images in train.

    Where DATA has parts of its own they are kept, and the part that judges wins.
    """
    records = inspection.records
    judge: dict[int, int] = {}
    for index, group in enumerate(inspection.duplicates.tolist()):
        word = records[index].split
        if word and (group not in judge or _rank(word) > _rank(records[judge[group]].split)):
            judge[group] = index
    keep = np.ones(len(records), bool)
    problems = []
    for index, group in enumerate(inspection.duplicates.tolist()):
        word = records[index].split
        if word and word != records[judge[group]].split:
            other = records[judge[group]]
            keep[index] = False
            words = f"in {word}, but a copy of {other.path} in {other.split}"
            leak = Problem(records[index].path, "split_leak", words, True, like=other.path)
            problems.append(leak)
    return inspection.keep(keep, problems)


def _rank(word: str | None) -> int:
    return PARTS.index(word) if word else -1


def _all_groups(inspection: Inspection) -> np.ndarray:
    return join_groups(inspection.duplicates.tolist(), [r.group for r in inspection.records])
