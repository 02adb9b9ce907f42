"""The section on the data: what there was, what was left out, what is a copy of what."""

from __future__ import annotations

from tfxfer.data.problems import PROBLEM_KINDS, Audit, Problem
from tfxfer.evaluation.tables import Table
from tfxfer.report.copies import CopyGroup
from tfxfer.report.material import Material
from tfxfer.report.parts import Gallery, Note, Part, Plate, Section
from tfxfer.report.words import make_sentence

__all__ = ["count_left_out", "list_left_out", "make_audit"]

_MOST_LEFT_OUT, _MOST_GROUPS, _MOST_COPIES = 12, 8, 4


def make_audit(material: Material) -> Section:
    """Returns what the data holds and what is wrong with it."""
    data, plural = material.manifest.data, material.modality.plural
    parts: list[Part] = []
    if data is not None:
        parts.append(
            Note(
                f"{data.images:,} {plural}: {data.train:,} to learn from, {data.val:,} to choose "
                f"the best epoch with, {data.test:,} to test with."
            )
        )
        parts += [Note(make_sentence(note)) for note in data.notes]
    left_out, groups = list_left_out(material), material.copy_groups
    unnamed = sum(found for found, _ in material.audit.unnamed.values()) if material.audit else 0
    if material.audit is not None:
        parts += _tabulate_kinds(material.audit)
    else:
        parts.append(
            Note("An earlier tfxfer trained this: of its audit only what was left out is kept.")
        )
    if material.audit is not None and material.audit.lengths is not None:
        picture = material.audit.lengths
        title = f"How long the {plural} are"
        parts.append(Table(title, (picture.unit, plural, ""), tuple(picture.draw())))
    if left_out:
        plates = tuple(
            Plate(problem.path, (_name_kind(problem.kind), problem.detail, problem.path))
            for problem in left_out[:_MOST_LEFT_OUT]
        )
        rest = count_left_out(material) - len(plates)
        parts.append(Gallery(plates, "Left out", rest, width="narrow"))
    else:
        parts.append(Note("Nothing was left out."))
    if unnamed:
        parts.append(
            Note(
                f"{unnamed:,} more findings are counted here and named nowhere on this page; what "
                "was left out stands in skipped.csv."
            )
        )
    parts += [_show_group(group, material.modality.noun) for group in groups[:_MOST_GROUPS]]
    if len(groups) > _MOST_GROUPS:
        parts.append(Note(f"And {len(groups) - _MOST_GROUPS:,} more groups of copies."))
    return Section("data", "The data", tuple(parts))


def list_left_out(material: Material) -> list[Problem]:
    """Returns what cost samples, as the audit or, of an earlier tfxfer, `run.json` has it."""
    if material.audit is not None:
        return list(material.audit.skipped)
    skipped = () if material.manifest.data is None else material.manifest.data.skipped
    return [Problem(x["path"], x["kind"], x["detail"], skipped=True) for x in skipped]


def count_left_out(material: Material) -> int:
    """Returns how many problems cost samples, those among them that no record names."""
    unnamed = {} if material.audit is None else material.audit.unnamed
    return len(list_left_out(material)) + sum(skipped for _, skipped in unnamed.values())


def _show_group(group: CopyGroup, noun: str) -> Gallery:
    shown = (group.first, *group.copies)[:_MOST_COPIES]
    what = f"The same {noun}" if group.is_exact else f"Nearly the same {noun}"
    return Gallery(
        tuple(Plate(path, (path,)) for path in shown),
        f"{what}, {1 + len(group.copies):,} times",
        1 + len(group.copies) - len(shown),
        width="narrow",
    )


def _tabulate_kinds(audit: Audit) -> list[Table]:
    rows = []
    for kind in PROBLEM_KINDS:
        of_kind = [problem for problem in audit.problems if problem.kind == kind]
        if of_kind:
            more, more_out = audit.unnamed.get(kind, (0, 0))
            found = len(of_kind) + more
            out = sum(problem.skipped for problem in of_kind) + more_out
            example = f"{of_kind[0].path}: {of_kind[0].detail}"
            rows.append((_name_kind(kind), f"{found:,}", f"{out:,}" if out else "", example))
    columns = ("", "found", "left out", "such as")
    return [Table("What was found in the files", columns, tuple(rows))] if rows else []


def _name_kind(kind: str) -> str:
    return kind.replace("_", " ")
