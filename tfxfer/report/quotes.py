"""Samples as words in the page, those marked that the model went by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.report.material import Material
from tfxfer.trust.marks import Marks

__all__ = [
    "LENGTHS",
    "Piece",
    "Quote",
    "QuoteBook",
    "describe_marking",
    "quote_marks",
    "quote_text",
]

LENGTHS: Mapping[str, int] = {"wide": 600, "narrow": 160}
"""Characters of a sample that are shown, by how wide a gallery shows it."""

_FAINTEST = 0.1  # of the strongest part; what does less would colour every word
_BEFORE = 80  # characters shown before the strongest part of a long sample

Tone: TypeAlias = Literal["plain", "for", "against", "unseen"]


@dataclass(frozen=True)
class Piece:
    """Neighbours that are shown alike.

    Args:
        text: of the sample.
        tone: whether they speak for the answer or against it, or are not seen by the network.
        percent: how strongly, of the strongest in the sample.
    """

    text: str
    tone: Tone = "plain"
    percent: int = 0


@dataclass(frozen=True)
class Quote:
    """What a page shows of a sample.

    Args:
        pieces: one after the other.
        is_late: whether something before them is left out.
        is_cut: whether something after them is.
        reason: why there is nothing to show; empty where there is.
    """

    pieces: tuple[Piece, ...] = ()
    is_late: bool = False
    is_cut: bool = False
    reason: str = ""


def describe_marking(modality: Modality) -> str:
    """Returns what a reader must know of marked parts."""
    noun = modality.part_noun
    return (
        f"Marked is each {noun} without which the answer's score falls, the stronger the farther; "
        f"underlined is one without which it rises. A model that goes by the wrong {noun} has "
        "learnt something else."
    )


def quote_text(text: str, longest: int) -> Quote:
    """Returns the beginning of a sample."""
    return Quote((Piece(text[:longest]),), is_cut=len(text) > longest)


def quote_marks(marks: Marks, longest: int) -> Quote:
    """Returns a sample with its parts marked; of a long one the place of the strongest part."""
    parts, strengths = marks.parts, marks.strengths
    ends, end = [], 0
    for part in parts:
        end += len(part.text)
        ends.append(end)
    first = 0
    if strengths:
        loudest = max(range(len(parts)), key=lambda i: (strengths[i], -i))
        if ends[loudest] > longest:
            begin = ends[loudest] - len(parts[loudest].text) - _BEFORE
            first = next(i for i, stop in enumerate(ends) if stop > begin)
    start = ends[first] - len(parts[first].text) if parts else 0
    pieces: list[Piece] = []
    last = first
    for last in range(first, len(parts)):
        text = parts[last].text[: start + longest - ends[last] + len(parts[last].text)]
        if not text:
            break
        shown = _show(text, strengths[last], is_seen=parts[last].is_seen)
        for piece in shown:
            if pieces and (pieces[-1].tone, pieces[-1].percent) == (piece.tone, piece.percent):
                piece = Piece(pieces.pop().text + piece.text, piece.tone, piece.percent)
            pieces.append(piece)
    return Quote(tuple(pieces), is_late=first > 0, is_cut=end > start + longest)


def _show(text: str, strength: float, *, is_seen: bool) -> list[Piece]:
    """Returns a part and, apart from it, the blanks around it, which nobody marks."""
    word = text.strip()
    if not is_seen:
        return [Piece(text, "unseen")]
    if abs(strength) < _FAINTEST or not word:
        return [Piece(text)]
    before, _, after = text.partition(word)
    marked = Piece(word, "for" if strength > 0 else "against", round(100 * abs(strength)))
    return [piece for piece in (Piece(before), marked, Piece(after)) if piece.text]


class QuoteBook:
    """Finds the words of a run's samples, where these are no pictures but can be read.

    Args:
        material: of the run; its origin says where the samples are.
        marks: what their parts do for the answer, by the sample's path.
    """

    def __init__(self, material: Material, marks: Mapping[str, Marks] | None = None) -> None:
        self._material = material
        self._marks = marks or {}

    def find(self, path: str, width: str = "wide") -> Quote | None:
        """Returns what the page shows of a sample; None where its name is all there is."""
        modality = self._material.modality
        if modality.picture_input is not None or not modality.part_noun:
            return None
        if path in self._marks:
            return quote_marks(self._marks[path], LENGTHS[width])
        sample = self._material.origin.locate(path)
        if sample is None:
            return Quote(reason="the data is not known here")
        if sample.path is not None and not sample.path.is_file():
            return Quote(reason="the file is not there any more")
        try:
            with modality.reading():
                return quote_text(modality.describe_sample(sample), LENGTHS[width])
        except DataError:
            return Quote(reason="cannot be read")
