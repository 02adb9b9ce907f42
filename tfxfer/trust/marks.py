"""Which parts of a sample, such as words, speak for an answer: it needs scores alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tfxfer.errors import DataError, ModelError
from tfxfer.inference.predictor import BATCH_SAMPLES, Predictor
from tfxfer.modality import Modality
from tfxfer.part import Part
from tfxfer.progress import Progress
from tfxfer.sample import Sample
from tfxfer.system.plain_text import shorten_text

__all__ = ["MOST_SPANS", "Marks", "check_parts", "mark_parts", "place_spans"]

ChooseOutputs: TypeAlias = Callable[[np.ndarray], Sequence[int]]
"""Scores of one sample → the outputs that are explained, by position."""

MOST_SPANS = 64
"""How many spans of a sample are left out in turn; each costs a pass through the network."""


@dataclass(frozen=True)
class Marks:
    """What each part of a sample does for one output.

    Args:
        label: of the output.
        score: of the whole sample.
        parts: of the sample, in order.
        drops: how far the score falls without each; below zero where it rises. Zero of a part that
            the network does not see.

    Units: drops in those of the score.
    """

    label: str
    score: float
    parts: tuple[Part, ...]
    drops: tuple[float, ...]

    @property
    def is_blank(self) -> bool:
        """Whether no part speaks for the output."""
        return max(self.drops, default=0.0) <= 0

    @property
    def strengths(self) -> tuple[float, ...]:
        """The drops as shares of the largest, whichever sign that has: -1..1."""
        largest = max((abs(drop) for drop in self.drops), default=0.0)
        return tuple(drop / largest if largest else 0.0 for drop in self.drops)

    def list_strongest(self, count: int) -> tuple[tuple[str, float], ...]:
        """Returns the parts that speak loudest for the output, and their drops."""
        ranked = sorted(range(len(self.drops)), key=lambda i: (-self.drops[i], i))[:count]
        return tuple(
            (self.parts[i].text.strip(), self.drops[i]) for i in ranked if self.drops[i] > 0
        )

    def describe(self, count: int = 5) -> str:
        """Returns which parts the score falls most without, in a line; empty where none does."""
        found = ", ".join(
            f"{shorten_text(text, 40)} {drop:.3f}" for text, drop in self.list_strongest(count)
        )
        return f"the score falls without: {found}" if found else ""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return {
            "label": self.label,
            "score": self.score,
            "blank": self.is_blank,
            "parts": [
                {"text": part.text, "drop": drop} | ({} if part.is_seen else {"seen": False})
                for part, drop in zip(self.parts, self.drops, strict=True)
            ],
        }


def check_parts(modality: Modality) -> str:
    """Returns what a part of a sample is called.

    Raises:
        DataError: samples of this modality have no parts.
    """
    if not modality.part_noun:
        raise DataError(
            f"{modality.plural}: expected samples with places or parts that can be shown. "
            f"Received: modality {modality.name!r}, whose {modality.plural} have neither."
        )
    return modality.part_noun


def place_spans(count: int, most: int = MOST_SPANS) -> list[range]:
    """Returns the spans of neighbours that are left out in turn: each alone where they are few.

    Of more than `most`, every span overlaps the next by half.

    Example:
        >>> place_spans(3)
        [range(0, 1), range(1, 2), range(2, 3)]
        >>> place_spans(6, most=3)
        [range(0, 4), range(2, 6)]
    """
    if count <= most:
        return [range(i, i + 1) for i in range(count)]
    stride = -(-count // most)
    starts = range(0, max(1, count - stride), stride)
    return [range(start, min(start + 2 * stride, count)) for start in starts]


def mark_parts(
    predictor: Predictor,
    sample: Sample,
    choose: ChooseOutputs | None = None,
    *,
    most: int = MOST_SPANS,
    progress: Progress | None = None,
) -> tuple[np.ndarray, tuple[Marks, ...]]:
    """Returns the scores of a sample, and what each part of it does for some outputs.

    Spans of the parts that the network sees are left out in turn. Of a part the result is the mean
    drop over all spans that it is in.

    Args:
        predictor: the model.
        sample: of its modality.
        choose: says which outputs, by position, from the scores of the whole sample; None is the
            one behind the answer.
        most: how many spans are tried.
        progress: told of spans done.

    Shapes: scores (outputs,).

    Raises:
        DataError: the sample cannot be read, or has no parts.
        ModelError: scores that are no numbers.

    Source:
        Li, Monroe and Jurafsky 2016, https://arxiv.org/abs/1612.08220, section 3, with the
        difference of scores in place of that of log-likelihoods, which a file for the phone does
        not have where a score is rounded to 0 or 1.
    """
    modality, size, contract = predictor.modality, predictor.size, predictor.contract
    check_parts(modality)
    parts = modality.list_parts(sample, size=size, contract=contract)
    plain = predictor.score(modality.read(sample, size=size, contract=contract))[0]
    seen = [number for number, part in enumerate(parts) if part.is_seen]
    spans = [[seen[i] for i in span] for span in place_spans(len(seen), most)]
    total, times = np.zeros((len(parts), len(plain))), np.zeros((len(parts), 1))
    for start in range(0, len(spans), BATCH_SAMPLES):
        some = spans[start : start + BATCH_SAMPLES]
        scores = predictor.score(modality.read_without(sample, some, size=size, contract=contract))
        for span, row in zip(some, scores, strict=True):
            total[span] += plain - row
            times[span] += 1
        if progress is not None:
            progress(f"leaving out each {modality.part_noun}", start + len(some), len(spans))
    if not np.isfinite(plain).all() or not np.isfinite(total).all():
        raise ModelError(
            f"model {predictor.source!r}: expected finite scores. Received: NaN or infinity. Are "
            "the weights whole?"
        )
    drops = total / np.maximum(times, 1)
    outputs = predictor.head.pick_outputs(plain[None]) if choose is None else choose(plain)
    return plain, tuple(
        Marks(
            predictor.labels[output],
            float(plain[output]),
            tuple(parts),
            tuple(drops[:, output].tolist()),
        )
        for output in map(int, outputs)
    )
