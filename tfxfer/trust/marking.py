"""What a model goes by in samples that somebody names, part by part, ready to be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfxfer.errors import DataError
from tfxfer.head import Prediction
from tfxfer.inference.labelling import Labelled
from tfxfer.inference.predictor import Predictor
from tfxfer.progress import Progress
from tfxfer.system.arguments import check_word
from tfxfer.trust.agreement import Agreement, compare_maps
from tfxfer.trust.explanation import Question
from tfxfer.trust.marks import Marks, mark_parts

__all__ = ["MarkedSample", "mark_samples"]


@dataclass(frozen=True, eq=False)
class MarkedSample:
    """Which parts of one sample a model goes by, or why nobody knows.

    Args:
        item: the sample, with the model's answer or an error.
        marks: of the explained output first, and of the next likely one; none where there is an
            error.
        file_marks: of the file that it is compared with, for the same output.
        agreement: of the model and the file.
        file_answer: what the file says of the sample.
    """

    item: Labelled
    marks: tuple[Marks, ...] = ()
    file_marks: Marks | None = None
    agreement: Agreement | None = None
    file_answer: Prediction | None = None

    def to_dict(self, noun: str) -> dict[str, Any]:
        """Returns the document of one sample.

        Args:
            noun: key of the sample, such as `text`.
        """
        document = self.item.to_dict(noun)
        if not self.marks:
            return document
        document["explained"] = [marks.to_dict() for marks in self.marks]
        document["method"] = "occlusion"
        if self.file_marks is not None:
            document["explained"].append({**self.file_marks.to_dict(), "model": "file"})
        if self.agreement is not None and self.file_answer is not None:
            found = self.file_answer
            document["file"] = {"label": found.label, "score": found.score}
            document["agreement"] = self.agreement.to_dict()
        return document


def mark_samples(
    predictor: Predictor,
    items: Sequence[Labelled],
    question: Question,
    *,
    progress: Progress | None = None,
) -> Iterator[MarkedSample]:
    """Yields what a model goes by in each sample; one that cannot be read costs itself alone.

    Args:
        predictor: the model.
        items: from `find_samples`; one with an error stays as it is.
        question: of a label, the runner-up, and a file; the rest of it is about pictures.
        progress: told of what is done.

    Raises:
        DataError: samples without parts.
        ModelError: scores that are no numbers.
        UsageError: no such label.
    """
    if question.label is not None:
        check_word(question.label, predictor.labels, where="explain", name="label")
    plural = predictor.modality.plural
    for number, item in enumerate(items):
        if progress is not None:
            progress(f"explaining {plural}", number, len(items))
        try:
            yield _mark(predictor, item, question)
        except DataError as error:
            yield MarkedSample(replace(item, error=error))
    if progress is not None:
        progress(f"explaining {plural}", len(items), len(items))


def _mark(predictor: Predictor, item: Labelled, question: Question) -> MarkedSample:
    if item.sample is None:
        return MarkedSample(item)

    def choose(scores: np.ndarray) -> list[int]:
        if question.label is not None:
            first = predictor.labels.index(question.label)
        else:
            first = int(predictor.head.pick_outputs(scores[None])[0])
        others = scores.astype(float)
        others[first] = -np.inf
        wants_other = question.runner_up and len(scores) > 1
        return [first, int(np.argmax(others))] if wants_other else [first]

    with predictor.modality.reading():
        scores, marks = mark_parts(predictor, item.sample, choose)
    (answer,) = predictor.head.decode(scores[None], predictor.labels)
    found = MarkedSample(replace(item, prediction=answer), marks)
    if question.file is None:
        return found
    file = question.file
    with file.modality.reading():
        others, (beside,) = mark_parts(
            file, item.sample, lambda _: [file.labels.index(marks[0].label)]
        )
    seen = np.array([part.is_seen for part in marks[0].parts], bool)
    one, other = (np.array(x.drops)[seen] for x in (marks[0], beside))
    agreement = compare_maps(one, other) if seen.any() else Agreement(None, None)
    (file_answer,) = file.head.decode(others[None], file.labels)
    return replace(found, file_marks=beside, agreement=agreement, file_answer=file_answer)
