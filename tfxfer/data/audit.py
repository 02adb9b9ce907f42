"""One parallel pass over every sample: what cannot be used, what is a copy, what looks wrong."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.data.problems import PROBLEM_KINDS, Audit, Problem, refuse_problems
from tfxfer.data.record import Record, Source
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.sample import Findings
from tfxfer.system.threads import open_pool

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

MIN_STRATUM_SAMPLES = 3
"""One each for train, val and test."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """The records that can be used, with what the pass learnt of each.

    Args:
        records: usable samples, in the source's order.
        sha256s: of each record's file.
        duplicates: group of each record, the index of the first copy.
        problems: everything found so far.
        files: how many records there were.
        facts: of each record, for the modality's `fit_contract`.
    """

    records: tuple[Record, ...]
    sha256s: tuple[str, ...]
    duplicates: np.ndarray
    problems: tuple[Problem, ...]
    files: int
    facts: tuple[Mapping[str, Any], ...]

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
            facts=tuple(self.facts[i] for i in indices),
        )

    def to_audit(self, plural: str = "samples", notes: Sequence[str] = ()) -> Audit:
        """Returns what a user sees, in the modality's word for samples.

        Args:
            plural: that word.
            notes: what is said first.
        """
        order = {kind: rank for rank, kind in enumerate(PROBLEM_KINDS)}
        problems = sorted(self.problems, key=lambda p: (order[p.kind], p.path, p.detail))
        return Audit(
            tuple(problems),
            images=len(self.records),
            files=self.files,
            plural=plural,
            notes=tuple(notes),
        )


def inspect_source(
    source: Source,
    modality: Modality,
    *,
    near_duplicates: bool = True,
    refuse_conflicts: bool = True,
    read_label: Mapping[str, Hashable] | None = None,
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
        read_label: what each label of DATA means; None takes them as they are written.
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
        facts=tuple(fact.facts for fact in facts),
    ).keep(usable, problems)
    facts = [fact for fact in facts if fact.fault is None]
    exact = _group_exact(facts)
    meanings = read_label or {}
    inspection, facts, exact = _judge_exact(
        inspection, facts, exact, refuse_conflicts, meanings, modality
    )
    groups = exact
    if near_duplicates and facts:
        groups = _join_near(facts, exact, modality, progress)
    near = _describe_near(inspection.records, exact, groups, meanings)
    return replace(inspection, duplicates=groups, problems=inspection.problems + tuple(near))


def drop_small_strata(
    inspection: Inspection,
    strata: Sequence[str],
    modality: Modality,
    *,
    listed: Sequence[str] = (),
    notes: Sequence[str] = (),
    known: Collection[str] = (),
) -> Inspection:
    """Leaves out strata, such as classes, that cannot be in train, val and test alike.

    Where DATA has splits of its own, also strata without a sample to learn from.

    Args:
        inspection: of the usable samples.
        strata: of each, as the head sees its label.
        modality: what to call a sample.
        listed: strata of every sample that DATA lists, usable or not.
        notes: what looks as if something else were meant, for the message.
        known: strata that a model knows already, which may be as small as they like.

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
    lost = Counter(listed)
    small |= {
        name: f"none of its {count:,} {modality.plural} can be used"
        for name, count in lost.items()
        if name not in counts
    }
    small = {name: why for name, why in small.items() if name not in known}
    remaining = sorted((set(counts) | set(known)) - set(small))
    if len(remaining) < 2:
        told = [
            f"{name!r} ({small.get(name, f'{counts[name]} {modality.plural}')})"
            for name in dict.fromkeys((*counts, *small))
        ]
        received = ", ".join(told[:10]) or f"no usable {modality.noun}"
        raise DataError(
            f"labels: expected at least two with {MIN_STRATUM_SAMPLES} or more usable "
            f"{modality.plural} each. Received: {received}. "
            f"Add {modality.plural}, or check that DATA is the folder that holds the class folders"
            + "".join(f": {note}" for note in notes[:1])
            + "."
        )
    problems = [Problem(name, "small_class", why, True) for name, why in sorted(small.items())]
    return inspection.keep(np.array([name not in small for name in strata], bool), problems)


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
    with modality.reading(), open_pool(count_workers(workers)) as pool:
        samples = (record.locate(source.root) for record in source.records)
        for fact in pool.map(modality.inspect, samples):
            facts.append(fact)
            if progress:
                progress(f"checking {modality.plural}", len(facts), count)
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
    meanings: Mapping[str, Hashable],
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
        if len({meanings.get(label, label) for label in labels}) > 1:
            words = f"the same {modality.noun} is labelled {' and '.join(map(repr, labels[:5]))}"
            problems += [
                Problem(records[i].path, "conflicting_label", words, refuse_conflicts)
                for i in indices
            ]
            keep[indices] = not refuse_conflicts
        else:
            first = records[group].path
            problems += [
                Problem(records[i].path, "duplicate", f"same as {first}", False, like=first)
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
    records: Sequence[Record],
    exact: np.ndarray,
    groups: np.ndarray,
    meanings: Mapping[str, Hashable],
) -> Iterator[Problem]:
    for index, (one, group) in enumerate(zip(exact.tolist(), groups.tolist(), strict=True)):
        if one == group:
            continue
        first, copy = records[group], records[index]
        words = f"nearly the same as {first.path}"
        labels = first.label, copy.label
        if len({meanings.get(label, label) for label in labels}) > 1:
            words += f", which is labelled {first.label!r}"
        yield Problem(copy.path, "near_duplicate", words, False, like=first.path)
