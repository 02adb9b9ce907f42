"""Which samples of a run are copies of which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfxfer.data.problems import Audit
from tfxfer.data.table import SplitRow

__all__ = ["CopyGroup", "find_copy_groups"]


@dataclass(frozen=True)
class CopyGroup:
    """Samples that are one photo.

    Args:
        first: path of the one that the others are copies of.
        copies: paths of the others.
        is_exact: whether nothing in them differs.
    """

    first: str
    copies: tuple[str, ...]
    is_exact: bool


def find_copy_groups(audit: Audit | None, split: Sequence[SplitRow]) -> list[CopyGroup]:
    """Returns which of the samples that are used are copies, the largest groups first.

    What was left out, such as a copy on the other side of the split, is in no group.

    Args:
        audit: of the files; without one only exact copies are known, by their fingerprints.
        split: where each sample went.
    """
    exact: dict[str, list[str]] = {}
    near: dict[str, list[str]] = {}
    if audit is not None:
        left_out = {problem.path for problem in audit.skipped}
        for problem in audit.problems:
            if problem.like and problem.path not in left_out:
                same = problem.kind != "near_duplicate"
                (exact if same else near).setdefault(problem.like, []).append(problem.path)
    else:
        firsts: dict[str, str] = {}
        for row in split:
            first = firsts.setdefault(row.fingerprint, row.path)
            if row.fingerprint and first != row.path:
                exact.setdefault(first, []).append(row.path)
    found = [*_list_groups(exact, is_exact=True), *_list_groups(near, is_exact=False)]
    return sorted(found, key=lambda group: (-len(group.copies), group.first))


def _list_groups(groups: Mapping[str, Sequence[str]], *, is_exact: bool) -> list[CopyGroup]:
    return [CopyGroup(first, tuple(copies), is_exact) for first, copies in groups.items()]
