"""Texts in the page: those marked that the model went by, escaped, and no longer than needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from tfxfer.data.audit_file import write_audit
from tfxfer.data.problems import Audit, Problem
from tfxfer.part import Part
from tfxfer.registry.discovery import find_entry_points
from tfxfer.registry.lookup import Registry
from tfxfer.report.quotes import Piece, quote_marks, quote_text
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.marks import Marks
from tfxfer_heads import Classification

ATTACK = "<mark onclick=alert(1)>free</mark>"
DOUBLE = Path(__file__).parents[1] / "plugins" / "good_modality"


def make_marks(words: str, *drops: float, unseen: int = 0) -> Marks:
    parts = re.findall(r"\s*\S+", words)
    seen = len(parts) - unseen
    return Marks("spam", 0.9, tuple(Part(x, i < seen) for i, x in enumerate(parts)), drops)


def test_words_are_marked_as_strongly_as_they_count() -> None:
    marks = make_marks("Claim a free prize, friend", 0.4, 0.01, 0.2, 0.2, -0.1)
    assert quote_marks(marks, 600).pieces == (
        Piece("Claim", "for", 100),
        Piece(" a "),
        Piece("free", "for", 50),
        Piece(" "),
        Piece("prize,", "for", 50),
        Piece(" "),
        Piece("friend", "against", 25),
    )
    flat = quote_marks(make_marks("Claim a prize", 0, 0, 0), 600)
    assert flat.pieces == (Piece("Claim a prize"),)


def test_what_the_network_did_not_see_is_pale() -> None:
    pieces = quote_marks(make_marks("one two three four", 1, 0, 0, 0, unseen=2), 600).pieces
    assert pieces == (Piece("one", "for", 100), Piece(" two"), Piece(" three four", "unseen"))


def test_of_a_long_text_the_strongest_place_is_shown() -> None:
    words = " ".join(["word"] * 200 + ["free"] + ["word"] * 200)
    quote = quote_marks(make_marks(words, *[0.0] * 200, 1.0, *[0.0] * 200), 100)
    assert (quote.is_late, quote.is_cut) == (True, True)
    assert Piece("free", "for", 100) in quote.pieces
    assert sum(len(piece.text) for piece in quote.pieces) == 100
    # The whole of it where there is room, and the beginning where that is the strongest place.
    whole = quote_marks(make_marks(words, *[0.0] * 200, 1.0, *[0.0] * 200), 5000)
    assert "".join(piece.text for piece in whole.pieces) == words
    assert (whole.is_late, whole.is_cut) == (False, False)
    assert not quote_marks(make_marks(words, 1.0, *[0.0] * 400), 100).is_late
    assert quote_text("abc", 2) == quote_text("abd", 2)
    assert quote_text("abc", 3).is_cut is False


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOUBLE)
    point = EntryPoint("double_texts", "double_good_texts:Texts", "tfxfer.modalities")
    registry = Registry([*find_entry_points(), point])
    monkeypatch.setattr("tfxfer.registry.lookup.default_registry", lambda: registry)


@pytest.fixture
def text_run(tmp_path: Path, fill: Callable[..., RunDirectory], double: None) -> RunDirectory:
    truths = ["ham", "spam"] * 6
    scores = np.eye(2)[[0, 1] * 5 + [1, 0]]
    run = fill(
        tmp_path / "run", Classification(), ("ham", "spam"), truths, scores,
        modality="double_texts", preprocessing={"words": 3},
    )  # fmt: skip
    copy = Problem("val/01.png", "duplicate", "same", skipped=True, like="val/02.png")
    write_audit(run.audit_path, Audit((copy,), images=24, files=24, plural="texts"))
    return run


def test_texts_stand_where_pictures_would(
    text_run: RunDirectory, tmp_path: Path, render: Callable[..., str]
) -> None:
    cells = {f"test/{n:02}.png": f"message {n} {ATTACK}" for n in range(12)}
    cells |= {"val/01.png": "left <b>out</b>"}
    marks = {"test/10.png": make_marks(f"message 10 {ATTACK}", 0.0, 0.0, 0.2, 0.3)}
    page = render(text_run, tmp_path, marks, cells=cells)
    # What is in a text is no markup; what is marked is.
    assert ATTACK not in page
    assert '<mark class="for" style="--percent: 67%">&lt;mark</mark>' in page
    assert "message 11 &lt;mark onclick" in page
    assert "left &lt;b&gt;out&lt;/b&gt;" in page
    assert "Marked is each word without which" in page
    assert "<img" not in page.partition("<main>")[2].replace("&lt;img", "")
    assert "Grad-CAM" not in page
    # A table that is gone costs its texts alone.
    bare = render(text_run, None)
    assert "the data is not known here" in bare
    assert "<mark " not in bare
    assert render(text_run, tmp_path).count("the file is not there any more") >= 2
