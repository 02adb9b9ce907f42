"""What a model looks at in samples that somebody names, ready to be drawn and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.errors import DataError, ModelError
from tfxfer.head import Prediction
from tfxfer.inference.labelling import Labelled
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.picture import Picture
from tfxfer.progress import Progress
from tfxfer.trust.agreement import Agreement, compare_maps
from tfxfer.trust.attention import Attention, measure_attention
from tfxfer.trust.heatmaps import HeatMaps, Method, check_pictures, map_heat
from tfxfer.trust.overlay import overlay, put_side_by_side

__all__ = ["Explanation", "Panel", "Question", "check_same_outputs", "explain_samples"]

_LONGEST_PX = 1024  # of a picture that is drawn: what a screen shows, in 3 MB

FindInside: TypeAlias = Callable[[Picture, tuple[int, int]], np.ndarray]
"""What share of each pixel of the network's input lies where the object is."""


@dataclass(frozen=True)
class Question:
    """What is asked of every sample.

    Args:
        stage: see `explain`.
        label: see `explain`.
        method: see `explain`.
        runner_up: whether the output with the next highest score is explained, too.
        find_inside: where the object is, if attention outside of it is measured.
        file: another model with the same outputs, which is asked where it looks by occlusion.
    """

    stage: str | None = None
    label: str | None = None
    method: Method | None = None
    runner_up: bool = False
    find_inside: FindInside | None = None
    file: Predictor | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of one sample.

    Args:
        label: the output that is explained.
        score: of that output.
        heat: 0..1; None once it is drawn and forgotten.
        is_blank: whether no place speaks for the output.
        who: `file`, or empty for the model itself.
    """

    label: str
    score: float
    heat: np.ndarray | None
    is_blank: bool
    who: str = ""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a model looks in one sample, or why nobody knows.

    Args:
        item: the sample, with the model's answer or an error.
        picture: of it.
        panels: the map of the explained output first; none where there is an error.
        method: that made them.
        stage: that Grad-CAM looked at.
        attention: how much of it is outside of the object.
        agreement: of the model and the file.
        file_answer: what the file says of the sample.
    """

    item: Labelled
    picture: Picture | None = None
    panels: tuple[Panel, ...] = ()
    method: Method | None = None
    stage: str | None = None
    attention: Attention | None = None
    agreement: Agreement | None = None
    file_answer: Prediction | None = None

    def draw(self) -> np.ndarray:
        """Returns the picture under its heat map; several maps beside each other.

        Shapes: uint8 (height, width, 3).
        """
        assert self.picture is not None
        drawn = [
            overlay(self.picture, panel.heat) for panel in self.panels if panel.heat is not None
        ]
        if len(drawn) == 1:
            return drawn[0]
        captions = [
            " ".join(filter(None, (panel.who, panel.label, f"{panel.score:.2f}")))
            for panel in self.panels
        ]
        return put_side_by_side(drawn, captions)

    def without_pixels(self) -> Explanation:
        """Returns what is told of the sample, without what is drawn: pictures fill a memory."""
        panels = tuple(replace(panel, heat=None) for panel in self.panels)
        return replace(self, picture=None, panels=panels)

    def to_dict(self, noun: str) -> dict[str, Any]:
        """Returns the document of one sample.

        Args:
            noun: key of its name, such as `image`.
        """
        document = self.item.to_dict(noun)
        if not self.panels:
            return document
        names = ("label", "score", "blank")
        document["explained"] = [
            dict(zip(names, (panel.label, panel.score, panel.is_blank), strict=True))
            | ({"model": panel.who} if panel.who else {})
            for panel in self.panels
        ]
        document |= {"method": self.method, "stage": self.stage}
        if self.attention is not None:
            document["attention"] = self.attention.to_dict()
        if self.agreement is not None and self.file_answer is not None:
            found = self.file_answer
            document["file"] = {"label": found.label, "score": found.score}
            document["agreement"] = self.agreement.to_dict()
        return document


def check_same_outputs(predictor: Predictor, file: Predictor) -> None:
    """Refuses a file that cannot be compared with a model, place by place.

    Raises:
        ModelError: other labels, or an input of another size.
    """
    if sorted(file.labels) != sorted(predictor.labels) or file.size != predictor.size:
        raise ModelError(
            f"model {file.source!r}: expected the labels and the input size of "
            f"{predictor.source!r}, {len(predictor.labels)} labels at {predictor.size}. "
            f"Received: {len(file.labels)} labels at {file.size}. Give a file exported from it."
        )


def explain_samples(
    predictor: Predictor,
    items: Sequence[Labelled],
    question: Question,
    *,
    progress: Progress | None = None,
) -> Iterator[Explanation]:
    """Yields where a model looks in each sample; one that cannot be read costs itself alone.

    Args:
        predictor: the model.
        items: from `find_samples`; one with an error stays as it is.
        question: what is asked.
        progress: told of what is done.

    Raises:
        DataError, ModelError, ScheduleError, UsageError: see `explain`.
    """
    for start in range(0, len(items), BATCH_SAMPLES):
        batch = items[start : start + BATCH_SAMPLES]
        read = [_read(predictor, item, question.find_inside) for item in batch]
        known = [found for found in read if isinstance(found, _Read)]
        told = _scale_progress(progress, start, len(batch), len(items), predictor.modality.plural)
        rows = iter(_explain_batch(predictor, known, question, told) if known else ())
        for found in read:
            yield next(rows) if isinstance(found, _Read) else Explanation(found)


def _scale_progress(
    progress: Progress | None, start: int, count: int, total: int, plural: str
) -> Callable[[int, int], Progress | None]:
    """Returns what makes the progress of one of some maps of a batch that of all samples."""

    def of_map(number: int, maps: int) -> Progress | None:
        if progress is None:
            return None

        def tell(_: str, done: int, whole: int) -> None:
            share = (number + done / whole) / maps
            progress(f"explaining {plural}", round(1000 * (start + count * share)), 1000 * total)

        return tell

    return of_map


@dataclass(frozen=True, eq=False)
class _Read:
    """A sample that could be read: as the network takes it, and as a person sees it."""

    item: Labelled
    inputs: Arrays
    picture: Picture
    inside: np.ndarray | None


def _read(predictor: Predictor, item: Labelled, find_inside: FindInside | None) -> Labelled | _Read:
    modality, contract = predictor.modality, predictor.contract
    if item.sample is None:
        return item
    try:
        with modality.reading():
            inputs = modality.read(item.sample, size=predictor.size, contract=contract)
            picture = modality.read_picture(item.sample, contract=contract, longest_px=_LONGEST_PX)
        shown = inputs[check_pictures(modality)] if isinstance(inputs, dict) else inputs
        height, width = shown.shape[1:3]
        inside = None if find_inside is None else find_inside(picture, (height, width))
    except DataError as error:
        return replace(item, error=error)
    return _Read(item, inputs, picture, inside)


def _explain_batch(
    predictor: Predictor,
    samples: Sequence[_Read],
    question: Question,
    tell: Callable[[int, int], Progress | None],
) -> list[Explanation]:
    inputs = map_arrays(
        lambda *parts: np.concatenate(parts), *(sample.inputs for sample in samples)
    )
    count = 1 + (question.file is not None) + question.runner_up
    method: Method | None = question.method
    if question.file is not None:
        method = "occlusion"  # like with like
    maps = map_heat(
        predictor,
        inputs,
        stage=question.stage,
        label=question.label,
        method=method,
        progress=tell(0, count),
    )
    answers = predictor.head.decode(maps.scores, predictor.labels)
    panels = [_list_panels(maps, predictor.labels)]
    beside, file_answers = None, None
    if question.file is not None:
        file = question.file
        chosen = [file.labels.index(predictor.labels[i]) for i in maps.outputs.tolist()]
        beside = map_heat(
            file, inputs, method="occlusion", outputs=np.array(chosen), progress=tell(1, count)
        )
        file_answers = file.head.decode(beside.scores, file.labels)
        panels.append(_list_panels(beside, file.labels, who="file"))
    if question.runner_up and len(predictor.labels) > 1:
        others = maps.scores.astype(float)
        others[np.arange(len(others)), maps.outputs] = -np.inf
        second = map_heat(
            predictor,
            inputs,
            stage=question.stage,
            method=method,
            outputs=others.argmax(axis=1),
            progress=tell(count - 1, count),
        )
        panels.append(_list_panels(second, predictor.labels))
    return [
        Explanation(
            item=replace(sample.item, prediction=answers[row]),
            picture=sample.picture,
            panels=tuple(column[row] for column in panels),
            method=maps.method,
            stage=maps.stage,
            attention=None
            if sample.inside is None
            else measure_attention(maps.values[row], sample.inside),
            agreement=None if beside is None else compare_maps(maps.raw[row], beside.raw[row]),
            file_answer=None if file_answers is None else file_answers[row],
        )
        for row, sample in enumerate(samples)
    ]


def _list_panels(maps: HeatMaps, labels: Sequence[str], who: str = "") -> list[Panel]:
    blank = maps.is_blank.tolist()
    return [
        Panel(labels[output], float(maps.scores[row, output]), maps.values[row], blank[row], who)
        for row, output in enumerate(maps.outputs.tolist())
    ]
