"""What a page is made of, as data: sections of parts, and the samples and plots they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfxfer.evaluation.tables import Matrix, Table

__all__ = [
    "Bin",
    "Curves",
    "Facts",
    "Gallery",
    "Line",
    "Note",
    "Part",
    "Plate",
    "Profile",
    "ProfilePoint",
    "Reliability",
    "Scatter",
    "Section",
    "Sentence",
    "Tone",
]

Tone = Literal["good", "plain", "bad"]


@dataclass(frozen=True)
class Sentence:
    """One line of the verdict.

    Args:
        text: for a person.
        tone: whether it is good to hear.
        section: name of the section that shows it; empty for none.
    """

    text: str
    tone: Tone = "plain"
    section: str = ""


@dataclass(frozen=True)
class Note:
    """A paragraph.

    Args:
        text: for a person.
        command: what to type, shown after it; empty for nothing.
    """

    text: str
    command: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and what they are, a line each."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: of the quantity.
        values: of each epoch; NaN where there is none.
        is_main: whether it is the one that people look at, such as the validation's.
    """

    name: str
    values: tuple[float, ...]
    is_main: bool = True


@dataclass(frozen=True)
class Curves:
    """Quantities by epoch.

    Args:
        title: what they are.
        lines: drawn over each other.
        phases: name and number of epochs of each.
        kept: epoch that the model is of, from 0; None where that is not known.
        is_share: whether the values are shares, 0..1.
    """

    title: str
    lines: tuple[Line, ...]
    phases: tuple[tuple[str, int], ...]
    kept: int | None = None
    is_share: bool = False


@dataclass(frozen=True)
class Bin:
    """Answers of about one confidence.

    Args:
        confidence: their mean.
        right: share of them that is right.
        low: end of its 95 % interval.
        high: end of its 95 % interval.
        samples: how many there are.
    """

    confidence: float
    right: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True)
class Reliability:
    """How often answers of each confidence are right."""

    title: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Scatter:
    """Answers beside the truth, where both are numbers."""

    title: str
    truths: tuple[float, ...]
    answers: tuple[float, ...]


@dataclass(frozen=True)
class ProfilePoint:
    """A value at one depth, with its interval where it has one."""

    depth: float
    value: float
    low: float
    high: float
    name: str = ""


@dataclass(frozen=True)
class Profile:
    """A quantity by depth of the network."""

    title: str
    quantity: str
    points: tuple[ProfilePoint, ...]


@dataclass(frozen=True)
class Plate:
    """One sample and what is said of it.

    Args:
        path: of the sample, relative to the data.
        lines: for a person; the first is the heading.
        is_explained: whether what the model looked at is shown beside it.
        tone: of the heading.
    """

    path: str
    lines: tuple[str, ...]
    is_explained: bool = False
    tone: Tone = "plain"


@dataclass(frozen=True)
class Gallery:
    """Samples side by side.

    Args:
        plates: the samples.
        title: above them; empty for none.
        rest: how many more there are.
        width: of the pictures, `wide` where each needs a closer look.
    """

    plates: tuple[Plate, ...]
    title: str = ""
    rest: int = 0
    width: Literal["wide", "narrow"] = "wide"


Part = Note | Facts | Table | Matrix | Curves | Reliability | Scatter | Profile | Gallery


@dataclass(frozen=True)
class Section:
    """A titled piece of the page.

    Args:
        name: its anchor.
        title: for a person.
        parts: from top to bottom.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
