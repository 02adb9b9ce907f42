"""The section on the worst mistakes, as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfxfer.errors import TfxferError
from tfxfer.report.material import Answer, Material
from tfxfer.report.parts import Gallery, Note, Plate, Section

__all__ = ["MOST_MISTAKES", "compare_encoded", "make_mistakes", "rank_mistakes"]

MOST_MISTAKES = 12

_LEGEND = (
    "A second picture beside one shows what spoke for the answer, the brighter the more "
    "(Grad-CAM): a model that looks past the object has learnt something else."
)


def make_mistakes(material: Material) -> Section:
    """Returns the answers that are farthest from the truth, the worst first."""
    tested = material.tested
    if not tested:
        note = Note("This run has no predictions.csv: an earlier tfxfer trained it.")
        return Section("mistakes", "Worst mistakes", (note,))
    ranked = rank_mistakes(tested, material)
    if not ranked:
        note = Note(f"There are none among {len(tested):,} {material.modality.plural}.")
        return Section("mistakes", "Worst mistakes", (note,))
    plates = tuple(_make_plate(answer) for answer in ranked[:MOST_MISTAKES])
    by = "the surest wrong answers" if ranked[0].is_right is False else "the farthest answers"
    return Section(
        "mistakes",
        "Worst mistakes",
        (
            Note(f"Of the test part, {by} first. All answers are in predictions.csv."),
            *[Note(_LEGEND)] * (material.modality.picture_input is not None),
            Gallery(plates, rest=len(ranked) - len(plates)),
        ),
    )


def rank_mistakes(answers: Sequence[Answer], material: Material) -> list[Answer]:
    """Returns the answers that are not right, the worst first.

    The worst are those that the head encodes farthest from the truth, and among equally far ones
    those that the model was surest of.

    Args:
        answers: of one split.
        material: of their run.
    """
    encoded = compare_encoded(answers, material)
    distances = np.zeros(len(answers))
    if encoded is not None:
        truths, found = encoded
        # Outputs have units of their own.
        spread = np.maximum(truths.std(axis=0), np.finfo(np.float32).tiny)
        distances = (np.abs(truths - found) / spread).mean(axis=1)
    wrong = [
        (float(distance), answer.score if answer.is_right is False else 0.0, number)
        for number, (distance, answer) in enumerate(zip(distances, answers, strict=True))
        if answer.is_right is False or (answer.is_right is None and distance > 0)
    ]
    wrong.sort(key=lambda item: (-round(item[0], 9), -item[1], item[2]))
    return [answers[number] for _, _, number in wrong]


def compare_encoded(
    answers: Sequence[Answer], material: Material
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns truths and answers as the head encodes them; None where it cannot encode an answer.

    Shapes: float64 (answers, outputs) each.
    """
    head, labels = material.head, material.manifest.labels
    try:
        found = [
            np.asarray(head.encode(raw, labels), np.float64)
            for raw in ([x.truth for x in answers], [x.label for x in answers])
        ]
    except TfxferError:
        return None  # not every head's answers are also labels
    return found[0], found[1]


def _make_plate(answer: Answer) -> Plate:
    said = answer.label or "nothing"
    if answer.is_right is None:
        return Plate(
            answer.path, (f"{said}, in truth {answer.truth}", answer.path), is_explained=True
        )
    return Plate(
        answer.path,
        (
            f"{answer.truth or 'nothing'} taken for {said}",
            f"{100 * answer.score:.1f} % sure",
            answer.path,
        ),
        is_explained=True,
        tone="bad",
    )
