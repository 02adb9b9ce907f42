"""What the audit found, as data and as words."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tfxfer.data.lengths import LengthPicture
from tfxfer.errors import DataError
from tfxfer.sample import FAULT_KINDS
from tfxfer.system.plain_text import escape_controls, guard_cell

__all__ = ["PROBLEM_KINDS", "Audit", "Problem", "refuse_problems"]

PROBLEM_KINDS = (
    *FAULT_KINDS,
    "conflicting_label",
    "small_class",
    "split_leak",
    "one_sided_class",
    "duplicate",
    "near_duplicate",
    "suspicious",
    "ignored",
)
"""From what costs samples to what is only worth knowing."""

_UNREAD = ("unsupported", "ignored")
_FOLDER = "folder"
_OF_CLASSES = ("small_class", "one_sided_class")
_MOST_CLASSES = 10


@dataclass(frozen=True)
class Problem:
    """One thing about one file.

    Args:
        path: relative to the data folder; a class's name for `small_class` and `one_sided_class`.
        kind: one of `PROBLEM_KINDS`.
        detail: what exactly, in a few words.
        skipped: whether the sample is left out because of it.
        like: the sample that it is a copy of, where it is one.
    """

    path: str
    kind: str
    detail: str
    skipped: bool
    like: str = ""


@dataclass(frozen=True)
class Audit:
    """What the pass over the files found.

    Args:
        problems: by weight of the kind, then by path.
        images: how many samples are used.
        files: how many were looked at.
        plural: what the modality calls them.
        notes: what DATA was taken for and what it holds, a line each, said before any problem.
        lengths: how long the samples are, where that differs.
        unnamed: by kind, how many more problems there are than `problems` names, and how many of
            these cost a sample. Only in what `audit.json` gives back of very many.
    """

    problems: tuple[Problem, ...]
    images: int
    files: int
    plural: str = "samples"
    notes: tuple[str, ...] = ()
    lengths: LengthPicture | None = None
    unnamed: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def skipped(self) -> tuple[Problem, ...]:
        """The problems that cost a sample or a class."""
        return tuple(problem for problem in self.problems if problem.skipped)

    @property
    def unread(self) -> tuple[Problem, ...]:
        """The files that were not taken for samples, or are of a format that is not read."""
        return tuple(p for p in self.problems if p.kind in _UNREAD)

    def count_kinds(self) -> dict[str, int]:
        """Returns how many problems there are of each kind that occurs."""
        counts = Counter(problem.kind for problem in self.problems)
        counts.update({kind: found for kind, (found, _) in self.unnamed.items()})
        return {kind: counts[kind] for kind in PROBLEM_KINDS if counts[kind]}

    def count_unread(self) -> dict[str, int]:
        """Returns how many files were not read, by their ending; the most frequent first."""
        return dict(Counter(_ending(problem.path) for problem in self.unread).most_common())

    def list_left_out(self) -> list[dict[str, str]]:
        """Returns `path` and `reason` of every file that is not used, as `skipped.csv` has them."""
        return [
            {
                "path": guard_cell(problem.path),
                "reason": guard_cell(f"{problem.kind.replace('_', ' ')}: {problem.detail}"),
            }
            for problem in self.problems
            if problem.skipped or problem.kind in _UNREAD
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "files": self.files,
            "images": self.images,
            "notes": list(self.notes),
            "counts": self.count_kinds(),
            "unread": self.count_unread(),
            "problems": [asdict(problem) for problem in self.problems],
            "lengths": None if self.lengths is None else asdict(self.lengths),
        }

    def summary(self) -> list[str]:
        """Returns a few lines for a person: what there is, and a count and example of each kind."""
        lines = [*self.notes, f"{self.images:,} of {self.files:,} {self.plural} are used"]
        if self.unread:
            lines.append(f"not read: {self._describe_unread()}")
        for kind in self.count_kinds():
            of_kind = [problem for problem in self.problems if problem.kind == kind]
            if kind == "ignored":
                continue
            left_out = sum(problem.skipped for problem in of_kind)
            effect = f", {left_out:,} left out" if left_out else ""
            words = kind.replace("_", " ")
            # A class is worth its own words; of files one stands for all.
            shown = of_kind[:_MOST_CLASSES] if kind in _OF_CLASSES else of_kind[:1]
            told = "; ".join(f"{problem.path}: {problem.detail}" for problem in shown)
            lines.append(f"{words}: {len(of_kind):,}{effect}; {told}")
        return [escape_controls(line) for line in lines]

    def _describe_unread(self) -> str:
        counts = self.count_unread()
        folders = [problem for problem in self.unread if problem.path.endswith("/")]
        files = [f"{count:,} {end}" for end, count in counts.items() if end != _FOLDER]
        # A folder left out may be a class that somebody misses: each is named.
        shown = [problem.path for problem in folders[:_MOST_CLASSES]]
        if folders:
            more = f" and {len(folders) - len(shown):,} more" if len(folders) > len(shown) else ""
            noun = "folder" if len(folders) == 1 else "folders"
            files.append(f"{len(folders):,} {noun} ({', '.join(shown)}{more})")
        # Of the unsupported ones a line of their own says more.
        example = next((problem for problem in self.unread if problem.kind == "ignored"), None)
        told = "" if example is None else f"; {example.path}: {example.detail}"
        return ", ".join(files) + told


def refuse_problems(audit: Audit) -> None:
    """Raises `DataError` where the audit left anything out: what `--strict` asks for."""
    skipped = audit.skipped
    if skipped:
        first = "".join(
            f"\n  {escape_controls(p.path)}: {p.kind}, {p.detail}" for p in skipped[:10]
        )
        more = f"\n  and {len(skipped) - 10:,} more" if len(skipped) > 10 else ""
        raise DataError(
            f"data: expected no sample that has to be left out, as strict asks. "
            f"Received: {len(skipped):,}. Repair or remove them, or leave strict out.{first}{more}"
        )


def _ending(path: str) -> str:
    if path.endswith("/"):
        return _FOLDER
    return PurePosixPath(path).suffix.lower() or "without ending"
