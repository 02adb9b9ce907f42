"""`audit.json`: what was found in the files of a run's data, for whoever looks at the run later."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import asdict, replace
from pathlib import Path

from tfxfer.data.problems import Audit, Problem
from tfxfer.errors import RunError
from tfxfer.system.bounded import MOST_JSON_BYTES
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_document, read_record

__all__ = ["read_audit", "shorten_audit", "write_audit"]


_MOST_BYTES = MOST_JSON_BYTES // 2
"""For the problems; what is read back whole may have twice as much."""


def write_audit(path: Path, audit: Audit) -> None:
    """Writes what an audit found; the folder is made.

    Of more problems than can be read back it names some of each kind, and counts the others.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        text = to_json(asdict(shorten_audit(audit, _MOST_BYTES)), indent=None)
        # Half of a pair, in the name of a file that is not read, is an escape of JSON's.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def shorten_audit(audit: Audit, most_bytes: int) -> Audit:
    """Returns an audit whose problems take so many bytes at most, as JSON.

    A kind of few problems keeps all of them; the others share what is left, each from its first.

    Args:
        audit: whole.
        most_bytes: for the problems.
    """
    if sum(_bound_bytes(problem) for problem in audit.problems) <= most_bytes:
        return audit
    sizes: dict[str, list[int]] = {}
    for problem in audit.problems:
        sizes.setdefault(problem.kind, []).append(_count_bytes(problem))
    left = most_bytes
    kept: dict[str, int] = {}
    by_size = sorted(sizes, key=lambda kind: sum(sizes[kind]))
    for number, kind in enumerate(by_size):
        share = left // (len(by_size) - number)
        ends = list(itertools.accumulate(sizes[kind]))
        kept[kind] = bisect.bisect_right(ends, share)
        left -= ends[kept[kind] - 1] if kept[kind] else 0
    named: list[Problem] = []
    unnamed: dict[str, tuple[int, int]] = {}
    for problem in audit.problems:
        if kept[problem.kind]:
            kept[problem.kind] -= 1
            named.append(problem)
            continue
        found, skipped = unnamed.get(problem.kind, (0, 0))
        unnamed[problem.kind] = (found + 1, skipped + problem.skipped)
    return replace(audit, problems=tuple(named), unnamed=unnamed) if unnamed else audit


def _bound_bytes(problem: Problem) -> int:
    # An escape of JSON's has six bytes; the names of the fields have 70.
    return 100 + 6 * sum(map(len, (problem.path, problem.kind, problem.detail, problem.like)))


def _count_bytes(problem: Problem) -> int:
    text = to_json(asdict(problem), indent=None)
    # The line's end is the comma and the space between two.
    return len(text.encode("utf-8", "backslashreplace")) + 1


def read_audit(path: Path) -> Audit:
    """Reads what `write_audit` wrote.

    Raises:
        RunError: no such file, or it says something else.
    """
    document = read_document(path, expected="the JSON of an audit", error=RunError)
    return read_record(Audit, document, where=str(path), error=RunError)
