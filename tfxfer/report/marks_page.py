"""A page of samples with their parts marked, for `tfxfer explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfxfer.modality import Modality
from tfxfer.report.page import make_environment
from tfxfer.report.quotes import Quote, describe_marking, quote_marks
from tfxfer.trust.marking import MarkedSample
from tfxfer.trust.marks import Marks

__all__ = ["render_marks"]

_LONGEST = 20_000  # characters of a sample; the part that a network sees is far shorter


@dataclass(frozen=True)
class _View:
    heading: str
    quote: Quote
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    views: tuple[_View, ...]
    place: str


def render_marks(
    samples: Sequence[MarkedSample], modality: Modality, *, title: str, version: str
) -> str:
    """Returns a page as HTML; everything that comes from outside is escaped.

    Args:
        samples: those without marks are passed over.
        modality: what they are.
        title: what the model is called.
        version: of tfxfer.
    """
    entries = []
    for found in samples:
        if not found.marks:
            continue
        views = [_make_view(marks) for marks in found.marks]
        if found.file_marks is not None:
            views.append(_make_view(found.file_marks, "the file: "))
        name = found.item.name
        entries.append(_Entry(tuple(views), name if name != found.item.shown else ""))
    return (
        make_environment()
        .get_template("marks.html")
        .render(title=title, legend=describe_marking(modality), samples=entries, version=version)
    )


def _make_view(marks: Marks, who: str = "") -> _View:
    return _View(
        f"{who}{marks.label} {marks.score:.3f}",
        quote_marks(marks, _LONGEST),
        tuple(line for line in (marks.describe(),) if line),
    )
