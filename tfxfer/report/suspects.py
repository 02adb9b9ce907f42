"""The section on labels that look wrong, as pictures."""

from __future__ import annotations

import shlex

from tfxfer.errors import TfxferError
from tfxfer.report.material import Material
from tfxfer.report.parts import Gallery, Note, Plate, Section, Sentence
from tfxfer.trust.label_errors import LabelError

__all__ = ["describe_suspects", "make_suspects"]

_MOST_SUSPECTS = 12


def make_suspects(material: Material) -> Section | None:
    """Returns the labels that look wrong, the likeliest error first; None where none can be."""
    found, title = material.label_errors, "Labels that look wrong"
    if found is None:
        data = material.manifest.request.get("data")
        if not data or material.origin.source is not None or not _has_classes(material):
            return None
        note = Note("Nobody has looked for them. To do that, type", _write_command(data))
        return Section("labels", title, (note,))
    sure = [error for error in found if error.confident]
    if not sure:
        return Section("labels", title, (Note("None of them stands out."),))
    plates = tuple(_make_plate(error) for error in sure[:_MOST_SUSPECTS])
    note = Note(
        "A probe on the pretrained network's features, which had not seen the sample, takes it for "
        "another class. Look at each: some are wrong, some only hard. All are in "
        "trust/label_errors.csv."
    )
    return Section("labels", title, (note, Gallery(plates, rest=len(sure) - len(plates))))


def describe_suspects(material: Material) -> Sentence | None:
    """Returns a line of the verdict where labels look wrong."""
    count = sum(error.confident for error in material.label_errors or ())
    if not count:
        return None
    words = "1 label looks" if count == 1 else f"{count:,} labels look"
    return Sentence(f"{words} wrong.", section="labels")


def _has_classes(material: Material) -> bool:
    """Returns whether labels exclude each other, so that another one speaks against them."""
    truths = [answer.truth for answer in material.tested]
    if not truths:
        return False
    try:
        targets = material.head.encode(truths, material.manifest.labels)
    except TfxferError:
        return False  # a label that the head cannot read back is compared with no other
    return material.head.find_classes(targets) is not None


def _write_command(data: str) -> str:
    return shlex.join(["tfxfer", "audit", data])


def _make_plate(error: LabelError) -> Plate:
    return Plate(
        error.path,
        (
            f"labelled {error.label}, looks like {error.suggested}",
            f"{100 * error.suggested_score:.0f} % against {100 * error.label_score:.0f} %, in "
            f"{error.split}",
            error.path,
        ),
        is_explained=True,
    )
