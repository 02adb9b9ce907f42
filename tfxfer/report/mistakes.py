"""The section on the worst mistakes, as pictures."""

from __future__ import annotations

import numpy as np

from tfxfer.report.answers import Answer
from tfxfer.report.material import Material
from tfxfer.report.parts import Gallery, Note, Plate, Section
from tfxfer.report.quotes import describe_marking

__all__ = ["describe_marks", "make_mistakes", "rank_mistakes"]

_MOST_MISTAKES = 12

_LEGEND = (
    "A second picture beside one shows what spoke for the answer, the brighter the more "
    "(Grad-CAM): a model that looks past the object has learnt something else."
)


def describe_marks(material: Material) -> tuple[str, ...]:
    """Returns what a reader must know of what is shown beside or within a sample."""
    modality = material.modality
    if modality.picture_input is not None:
        return (_LEGEND,)
    return (describe_marking(modality),) if modality.part_noun else ()


def make_mistakes(material: Material) -> Section:
    """Returns the answers that are farthest from the truth, the worst first."""
    tested = material.tested
    if not tested:
        note = Note("This run has no predictions.csv: an earlier tfxfer trained it.")
        return Section("mistakes", "Worst mistakes", (note,))
    ranked = rank_mistakes(material)
    if ranked is None:
        note = Note(
            "They cannot be ranked: the answers of this task are nearer or farther, and its head "
            "cannot read them back. All answers are in predictions.csv."
        )
        return Section("mistakes", "Worst mistakes", (note,))
    if not ranked:
        note = Note(f"There are none among {len(tested):,} {material.modality.plural}.")
        return Section("mistakes", "Worst mistakes", (note,))
    plates = tuple(_make_plate(answer) for answer in ranked[:_MOST_MISTAKES])
    by = "the surest wrong answers" if ranked[0].is_right is False else "the farthest answers"
    return Section(
        "mistakes",
        "Worst mistakes",
        (
            Note(f"Of the test part, {by} first. All answers are in predictions.csv."),
            *(Note(line) for line in describe_marks(material)),
            Gallery(plates, rest=len(ranked) - len(plates)),
        ),
    )


def rank_mistakes(material: Material) -> list[Answer] | None:
    """Returns the test answers that are not right, the worst first; None where nobody can tell.

    The worst are those that the head encodes farthest from the truth, and among equally far ones
    those that the model was surest of. Nobody can tell where answers are never simply right and
    the head cannot encode them.
    """
    answers, encoded = material.tested, material.encoded
    if encoded is None and any(answer.is_right is None for answer in answers):
        return None
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
