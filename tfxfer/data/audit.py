"""One parallel pass over every sample: what cannot be used, what is a copy, what looks wrong."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfxfer.data.record import Record, Source
from tfxfer.errors import DataError
from tfxfer.modality import FAULT_KINDS, Findings, Modality
from tfxfer.progress import Progress

__all__ = [
    "MIN_STRATUM_SAMPLES",
    "PROBLEM_KINDS",
    "Audit",
    "Inspection",
    "Problem",
    "count_workers",
    "drop_small_strata",
    "inspect_source",
    "refuse_problems",
]

PROBLEM_KINDS = (
    *FAULT_KINDS,
    "conflicting_label",
    "small_class",
    "split_leak",
    "duplicate",
    "near_duplicate",
    "suspicious",
    "ignored",
)
"""From what costs samples to what is only worth knowing."""

MIN_STRATUM_SAMPLES = 3
"""One each for train, val and test."""


@dataclass(frozen=True)
class Problem:
    """One thing about one file.

    Args:
        path: relative to the data folder; a class's name for `small_class`.
        kind: one of `PROBLEM_KINDS`.
        detail: what exactly, in a few words.
        skipped: whether the sample is left out because of it.
    """

    path: str
    kind: str
    detail: str
    skipped: bool


@dataclass(frozen=True)
class Audit:
    """What the pass over the files found.

    Args:
        problems: by weight of the kind, then by path.
        images: how many samples are used.
        files: how many were looked at.
        plural: what the modality calls them.
    """

    problems: tuple[Problem, ...]
    images: int
    files: int
    plural: str = "samples"

    @property
    def skipped(self) -> tuple[Problem, ...]:
        """The problems that cost a sample or a class."""
        return tuple(problem for problem in self.problems if problem.skipped)

    def count_kinds(self) -> dict[str, int]:
        """Returns how many problems there are of each kind that occurs."""
        counts = Counter(problem.kind for problem in self.problems)
        return {kind: counts[kind] for kind in PROBLEM_KINDS if counts[kind]}

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "files": self.files,
            "images": self.images,
            "counts": self.count_kinds(),
            "problems": [asdict(problem) for problem in self.problems],
        }

    def summary(self) -> list[str]:
        """Returns a few lines for a person: a count and an example of each kind."""
        lines = [f"{self.images:,} of {self.files:,} {self.plural} are used"]
        for kind, count in self.count_kinds().items():
            of_kind = [problem for problem in self.problems if problem.kind == kind]
            left_out = sum(problem.skipped for problem in of_kind)
            effect = f", {left_out:,} left out" if left_out else ""
            first = of_kind[0]
            words = kind.replace("_", " ")
            lines.append(f"{words}: {count:,}{effect}; {first.path}: {first.detail}")
        return lines


@dataclass(frozen=True, eq=False)
class Inspection:
    """The records that can be used, with what the pass learnt of each.

    Args:
        records: usable samples, in the source's order.
        sha256s: of each record's file.
        duplicates: group of each record, the index of the first copy.
        problems: everything found so far.
        files: how many records there were.
    """

    records: tuple[Record, ...]
    sha256s: tuple[str, ...]
    duplicates: np.ndarray
    problems: tuple[Problem, ...]
    files: int

    def keep(self, chosen: np.ndarray, problems: Sequence[Problem]) -> Inspection:
        """Returns the inspection of some of the records, with the problems that say why."""
        indices = np.flatnonzero(chosen).tolist()
        # A group's number is an index, so it has to be counted anew.
        first_of: dict[int, int] = {}
        groups = [first_of.setdefault(int(self.duplicates[i]), n) for n, i in enumerate(indices)]
        return Inspection(
            records=tuple(self.records[i] for i in indices),
            sha256s=tuple(self.sha256s[i] for i in indices),
            duplicates=np.array(groups, np.int64),
            problems=self.problems + tuple(problems),
            files=self.files,
        )

    def to_audit(self, plural: str = "samples") -> Audit:
        """Returns what a user sees, in the modality's word for samples."""
        order = {kind: rank for rank, kind in enumerate(PROBLEM_KINDS)}
        problems = sorted(self.problems, key=lambda p: (order[p.kind], p.path, p.detail))
        return Audit(tuple(problems), images=len(self.records), files=self.files, plural=plural)


def inspect_source(
    source: Source,
    modality: Modality,
    *,
    near_duplicates: bool = True,
    refuse_conflicts: bool = True,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Inspection:
    """Reads every sample once and returns what can be used.

    What cannot be read is left out. Copies stay, with a group that a split must not part. The same
    sample under two labels teaches nothing, whichever label is right: all such are left out.

    Args:
        source: from `read_source`.
        modality: how a sample is read.
        near_duplicates: whether to look for near copies, too.
        refuse_conflicts: whether equal samples under two labels are left out, or only told.
        progress: called once per sample.
        workers: threads; one per core by default.
    """
    facts = _read_all(source, modality, progress, workers)
    problems = [Problem(f.path, "ignored", f.reason, False) for f in source.ignored]
    for record, fact in zip(source.records, facts, strict=True):
        if fact.fault:
            problems.append(Problem(record.path, *fact.fault, True))
        problems += [Problem(record.path, "suspicious", doubt, False) for doubt in fact.doubts]
    usable = np.array([fact.fault is None for fact in facts], bool)
    inspection = Inspection(
        records=source.records,
        sha256s=tuple(fact.sha256 for fact in facts),
        duplicates=np.arange(len(facts)),
        problems=(),
        files=len(facts),
    ).keep(usable, problems)
    facts = [fact for fact in facts if fact.fault is None]
    exact = _group_exact(facts)
    inspection, facts, exact = _judge_exact(inspection, facts, exact, refuse_conflicts, modality)
    groups = exact
    if near_duplicates and facts:
        groups = _join_near(facts, exact, modality, progress)
    near = _describe_near(inspection.records, exact, groups)
    return Inspection(
        records=inspection.records,
        sha256s=inspection.sha256s,
        duplicates=groups,
        problems=inspection.problems + tuple(near),
        files=inspection.files,
    )


def drop_small_strata(
    inspection: Inspection, strata: Sequence[str], modality: Modality
) -> Inspection:
    """Leaves out strata, such as classes, that cannot be in train, val and test alike.

    Where DATA has splits of its own, also strata without a sample to learn from.

    Args:
        inspection: of the usable samples.
        strata: of each, as the head sees its label.
        modality: what to call a sample.

    Raises:
        DataError: fewer than two strata remain.
    """
    counts = Counter(strata)
    small = {
        name: f"{count} usable {modality.plural}, fewer than {MIN_STRATUM_SAMPLES}"
        for name, count in counts.items()
        if count < MIN_STRATUM_SAMPLES
    }
    if all(record.split for record in inspection.records):
        taught = {
            name
            for name, record in zip(strata, inspection.records, strict=True)
            if record.split == "train"
        }
        small |= {
            name: f"no {modality.noun} in train"
            for name in counts
            if name not in taught | set(small)
        }
    remaining = sorted(set(counts) - set(small))
    if len(remaining) < 2:
        told = [
            f"{name!r} ({small.get(name, f'{counts[name]} {modality.plural}')})" for name in counts
        ]
        received = ", ".join(told[:10]) or f"no usable {modality.noun}"
        raise DataError(
            f"labels: expected at least two with {MIN_STRATUM_SAMPLES} or more usable "
            f"{modality.plural} each. Received: {received}. "
            f"Add {modality.plural}, or check that DATA is the folder that holds the class folders."
        )
    problems = [Problem(name, "small_class", why, True) for name, why in sorted(small.items())]
    return inspection.keep(np.array([name not in small for name in strata], bool), problems)


def refuse_problems(audit: Audit) -> None:
    """Raises `DataError` where the audit left anything out: what `--strict` asks for."""
    skipped = audit.skipped
    if skipped:
        first = "".join(f"\n  {p.path}: {p.kind}, {p.detail}" for p in skipped[:10])
        more = f"\n  and {len(skipped) - 10:,} more" if len(skipped) > 10 else ""
        raise DataError(
            f"data: expected no sample that has to be left out, as strict asks. "
            f"Received: {len(skipped):,}. Repair or remove them, or leave strict out.{first}{more}"
        )


def count_workers(workers: int | None = None) -> int:
    """Returns how many threads decode: one per core this process may use, unless told."""
    if workers is not None:
        return max(1, workers)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_all(
    source: Source, modality: Modality, progress: Progress | None, workers: int | None
) -> list[Findings]:
    count = len(source.records)
    facts: list[Findings] = []
    with modality.reading(), ThreadPoolExecutor(count_workers(workers)) as pool:
        try:
            samples = (record.locate(source.root) for record in source.records)
            for fact in pool.map(modality.inspect, samples):
                facts.append(fact)
                if progress:
                    progress(f"checking {modality.plural}", len(facts), count)
        except BaseException:
            # Ctrl-C must not wait for the thousands of files that are already queued.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return facts


def _group_exact(facts: Sequence[Findings]) -> np.ndarray:
    first_of: dict[str, int] = {}
    # Of a sample without an identity nothing is known to be a copy.
    keys = (fact.identity or f"\0{number}" for number, fact in enumerate(facts))
    return np.array([first_of.setdefault(key, n) for n, key in enumerate(keys)], np.int64)


def _judge_exact(
    inspection: Inspection,
    facts: list[Findings],
    exact: np.ndarray,
    refuse_conflicts: bool,
    modality: Modality,
) -> tuple[Inspection, list[Findings], np.ndarray]:
    records = inspection.records
    members = defaultdict(list)
    for index, group in enumerate(exact.tolist()):
        members[group].append(index)
    keep = np.ones(len(records), bool)
    problems = []
    for group, indices in members.items():
        labels = sorted({records[i].label for i in indices})
        if len(labels) > 1:
            words = f"the same {modality.noun} is labelled {' and '.join(map(repr, labels[:5]))}"
            problems += [
                Problem(records[i].path, "conflicting_label", words, refuse_conflicts)
                for i in indices
            ]
            keep[indices] = not refuse_conflicts
        else:
            problems += [
                Problem(records[i].path, "duplicate", f"same as {records[group].path}", False)
                for i in indices[1:]
            ]
    kept = inspection.keep(keep, problems)
    remaining = [fact for fact, wanted in zip(facts, keep.tolist(), strict=True) if wanted]
    return kept, remaining, _group_exact(remaining)


def _join_near(
    facts: Sequence[Findings], exact: np.ndarray, modality: Modality, progress: Progress | None
) -> np.ndarray:
    # Only one of each set of exact copies is compared: a thousand copies are half a million pairs.
    firsts = np.unique(exact)
    sketches = [sketch for sketch in (facts[i].sketch for i in firsts) if sketch is not None]
    if len(sketches) != len(firsts):
        return exact
    near = firsts[modality.find_copies(sketches, progress=progress)]
    of_first = dict(zip(firsts.tolist(), near.tolist(), strict=True))
    return np.array([of_first[group] for group in exact.tolist()], np.int64)


def _describe_near(
    records: Sequence[Record], exact: np.ndarray, groups: np.ndarray
) -> Iterator[Problem]:
    for index, (one, group) in enumerate(zip(exact.tolist(), groups.tolist(), strict=True)):
        if one == group:
            continue
        first, copy = records[group], records[index]
        words = f"nearly the same as {first.path}"
        if first.label != copy.label:
            words += f", which is labelled {first.label!r}"
        yield Problem(copy.path, "near_duplicate", words, False)
