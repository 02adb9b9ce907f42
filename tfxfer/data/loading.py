"""The whole way from DATA to three parts: list, audit, split, encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.data.audit import (
    Inspection,
    Problem,
    drop_small_classes,
    inspect_source,
    refuse_problems,
)
from tfxfer.data.images import ImageData, ImageSplit, hash_records
from tfxfer.data.sources import Source, read_source
from tfxfer.data.split import (
    DEFAULT_FRACTIONS,
    PARTS,
    join_groups,
    merge_rare,
    split_records,
    stratify_values,
)
from tfxfer.data.table import SplitRow, read_split_table
from tfxfer.errors import DataError, UsageError
from tfxfer.preprocessing import Resize
from tfxfer.progress import Progress

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["load_images", "load_split"]


def load_images(
    path: str | Path | Source,
    *,
    head: str | Head = "classification",
    image_size: int = 224,
    resize: Resize | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    labels: Sequence[str] | None = None,
    strict: bool = False,
    split_file: str | Path | None = None,
    near_duplicates: bool = True,
    progress: Progress | None = None,
    workers: int | None = None,
) -> ImageData:
    """Returns the audited, split and encoded images of DATA.

    Args:
        path: a folder of class folders, a folder with train/, val/ and test/, or a CSV with the
            columns `path,label[,split][,group]`; or a `Source` made by hand.
        head: what the labels mean: a head, or the name of an installed one.
        image_size: side of the square, in pixels.
        resize: how a photo becomes that square; a backbone's `preprocessing.resize`.
        seed: of the split and of the augmented views.
        fractions: shares of train, val and test, where DATA has none of its own.
        labels: names of the outputs, in order, where a model has settled them; None takes them
            from DATA.
        strict: refuse data of which anything would have to be left out.
        split_file: the split.csv of an earlier run, to be repeated.
        near_duplicates: whether to keep resized and re-encoded copies on one side of the split.
        progress: called while files are read and compared.
        workers: threads; one per core by default.

    Raises:
        DataError: data that cannot be trained on; the message says what to do.
    """
    resize = resize or Resize()
    _check_numbers(image_size, seed)
    resolved = _resolve_head(head)
    source = path if isinstance(path, Source) else read_source(path)
    if labels is not None and resolved.task == "classification":
        _check_known(str(source.root), [record.label for record in source.records], labels)
    problems: list[Problem] = []
    rows: dict[str, SplitRow] = {}
    if split_file is not None:
        rows = {row.path: row for row in read_split_table(split_file)}
        source, problems = _choose_rows(source, rows, str(split_file))
    inspection = inspect_source(
        source,
        # The groups are in the table then.
        near_duplicates=near_duplicates and not rows,
        refuse_conflicts=not rows,
        progress=progress,
        workers=workers,
    )
    inspection = replace(inspection, problems=inspection.problems + tuple(problems))
    if not inspection.records:
        refuse_empty(inspection)
    if rows:
        groups = join_groups([rows[r.path].group for r in inspection.records])
        parts = np.array([rows[r.path].split for r in inspection.records])
    else:
        inspection = _clean_parts(inspection)
        if resolved.task == "classification":
            inspection = drop_small_classes(inspection)
        groups = _all_groups(inspection)
        parts = split_records(
            _strata(resolved, [r.label for r in inspection.records]),
            groups.tolist(),
            fractions=fractions,
            seed=seed,
            stratify=True,
            given=[r.split for r in inspection.records],
        )
    audit = inspection.to_audit()
    if strict:
        refuse_problems(audit)
    return _assemble(
        inspection, parts, groups, head=resolved, labels=labels, root=source.root, size=image_size,
        resize=resize, seed=seed,
    )  # fmt: skip


def load_split(
    path: str | Path,
    *,
    head: str | Head,
    labels: Sequence[str],
    image_size: int,
    resize: Resize | None = None,
    seed: int = 0,
    name: str = "test",
    progress: Progress | None = None,
    workers: int | None = None,
) -> ImageSplit:
    """Returns DATA as one part, with labels that are already settled: what evaluation needs.

    Where DATA has a part of that name, only that part is taken. Files that do not decode are left
    out and listed in `skipped`.

    Raises:
        DataError: no usable image, or labels that the model does not have.
    """
    _check_numbers(image_size, seed)
    resolved = _resolve_head(head)
    source = read_source(path)
    if any(record.split == name for record in source.records):
        chosen = tuple(record for record in source.records if record.split == name)
        source = replace(source, records=chosen)
    raw = [record.label for record in source.records]
    if resolved.task == "classification":
        _check_known(str(path), raw, labels)
    inspection = inspect_source(
        source, near_duplicates=False, refuse_conflicts=False, progress=progress, workers=workers
    )
    if not inspection.records:
        refuse_empty(inspection)
    raw = [record.label for record in inspection.records]
    return ImageSplit(
        name=name,
        root=source.root,
        paths=tuple(record.path for record in inspection.records),
        raw_labels=tuple(raw),
        labels=tuple(labels),
        targets=np.asarray(resolved.encode(raw, labels), np.float32),
        image_size=image_size,
        resize=resize or Resize(),
        seed=seed,
        skipped=inspection.to_audit().skipped,
    )


def refuse_empty(inspection: Inspection) -> None:
    """Raises `DataError` for data of which no image can be used."""
    first = inspection.to_audit().skipped[0]
    raise DataError(
        f"data: expected at least one image that can be used. Received: {inspection.files:,} "
        f"files, none of them; {first.path}: {first.kind}, {first.detail}."
    )


def _check_numbers(image_size: int, seed: int) -> None:
    if image_size < 1:
        raise UsageError(f"image size: expected 1 pixel or more. Received: {image_size}.")
    if seed < 0:
        raise UsageError(f"seed: expected 0 or more. Received: seed={seed}.")


def _check_known(data: str, raw: Sequence[str], labels: Sequence[str]) -> None:
    unknown = sorted(set(raw) - set(labels))
    if unknown:
        raise DataError(
            f"data {data!r}: expected the labels of the model, "
            f"{', '.join(map(repr, labels[:10]))}. "
            f"Received: {', '.join(map(repr, unknown[:10]))}. Rename them, or leave them out."
        )


def _resolve_head(head: str | Head) -> Head:
    if not isinstance(head, str):
        return head
    from tfxfer.registry.lookup import get_head

    found = get_head(head)
    return found() if isinstance(found, type) else found


def _choose_rows(
    source: Source, rows: dict[str, SplitRow], table: str
) -> tuple[Source, list[Problem]]:
    """Returns the images that the table names, and what it does not name as problems."""
    known = {record.path: record for record in source.records}
    lost = sorted(set(rows) - set(known))
    if lost:
        raise DataError(
            f"split table {table!r}: expected every image of it in {str(source.root)!r}. "
            f"Received: {len(lost):,} that are gone, first {lost[0]!r}. "
            "Put them back, or start a new run."
        )
    for path, row in rows.items():
        if known[path].label != row.label:
            raise DataError(
                f"split table {table!r}: expected the labels of the earlier run. Received: "
                f"{path!r} is {known[path].label!r} now and was {row.label!r}. Start a new run."
            )
    chosen = tuple(record for record in source.records if record.path in rows)
    problems = [
        Problem(record.path, "ignored", "not in the split table", False)
        for record in source.records
        if record.path not in rows
    ]
    return replace(source, records=chosen), problems


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
            problems.append(Problem(records[index].path, "split_leak", words, True))
    return inspection.keep(keep, problems)


def _rank(word: str | None) -> int:
    return PARTS.index(word) if word else -1


def _all_groups(inspection: Inspection) -> np.ndarray:
    return join_groups(inspection.duplicates.tolist(), [r.group for r in inspection.records])


def _strata(head: Head, raw: list[str]) -> list[str]:
    if head.task == "classification":
        return raw
    if head.task == "multilabel":
        return merge_rare(raw)
    values = head.encode(raw, head.fit_labels(raw))
    return [str(bin_) for bin_ in stratify_values(np.asarray(values)[:, 0])]


def _assemble(
    inspection: Inspection,
    parts: np.ndarray,
    groups: np.ndarray,
    *,
    head: Head,
    labels: Sequence[str] | None,
    root: Path,
    size: int,
    resize: Resize,
    seed: int,
) -> ImageData:
    records = inspection.records
    raw = [record.label for record in records]
    labels = tuple(head.fit_labels(raw) if labels is None else labels)
    targets = np.asarray(head.encode(raw, labels), np.float32)

    def take(name: str) -> ImageSplit:
        chosen = np.flatnonzero(parts == name)
        return ImageSplit(
            name=name,
            root=root,
            paths=tuple(records[i].path for i in chosen),
            raw_labels=tuple(raw[i] for i in chosen),
            labels=labels,
            targets=targets[chosen],
            image_size=size,
            resize=resize,
            seed=seed,
        )

    splits = {name: take(name) for name in PARTS}
    if not len(splits["train"]):
        raise DataError(
            f"data {str(root)!r}: expected images to learn from. Received: none in train, "
            f"{len(splits['val'])} in val, {len(splits['test'])} in test."
        )
    rows = [
        SplitRow(record.path, record.label, str(part), records[group].path)
        for record, part, group in zip(records, parts, groups.tolist(), strict=True)
    ]
    return ImageData(
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        labels=labels,
        audit=inspection.to_audit(),
        fingerprint=hash_records([r.path for r in records], inspection.sha256s, raw),
        rows=tuple(rows),
    )
