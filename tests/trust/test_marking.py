"""Marked samples as they are told: the runner-up, a file beside it, a page, and a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Sample, UsageError, get_head
from tfxfer.cli.marked import check_marks_page, refuse_places, tell_marks
from tfxfer.cli.output import Output
from tfxfer.errors import StorageError
from tfxfer.inference.labelling import Labelled
from tfxfer.inference.predictor import Predictor
from tfxfer.trust.explanation import Question
from tfxfer.trust.marking import MarkedSample, mark_samples

DOUBLE = Path(__file__).parents[1] / "plugins" / "good_modality"


@pytest.fixture(scope="module")
def texts() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOUBLE)
        yield import_module("double_good_texts").Texts()


def make_model(texts: Any, length: int = 4, labels: tuple[str, ...] = ("spam", "ham")) -> Predictor:
    """Returns a model that answers with the share of words of a length."""

    def score(inputs: Any) -> np.ndarray:
        share = (inputs["ids"] == length).mean(axis=1)
        columns = {"spam": share, "ham": 1 - share}
        return np.stack([columns[label] for label in labels], axis=1)

    return Predictor("double", labels, get_head("classification"), texts, 4, None, score)


def name(*words: str) -> list[Labelled]:
    return [Labelled(word, Sample(word, content=word)) for word in words]


def test_a_sample_that_cannot_be_read_costs_itself(texts: Any) -> None:
    done = list(mark_samples(make_model(texts), name("free it is now", " "), Question()))
    assert [bool(found.marks) for found in done] == [True, False]
    assert done[0].item.prediction is not None
    assert done[0].item.prediction.label == "ham"
    assert done[0].marks[0].label == "ham"
    assert "expected words" in str(done[1].item.error)
    assert "error" in done[1].to_dict("text")


def test_what_is_asked_for_is_explained(texts: Any) -> None:
    (found,) = mark_samples(
        make_model(texts), name("free it is now"), Question(label="spam", runner_up=True)
    )
    spam, ham = found.marks
    assert (spam.label, ham.label) == ("spam", "ham")
    assert spam.drops == (0.25, 0, 0, 0)
    assert ham.drops == (-0.25, 0, 0, 0)
    assert ham.is_blank
    assert not spam.is_blank
    document = found.to_dict("text")
    assert [x["label"] for x in document["explained"]] == ["spam", "ham"]
    assert document["method"] == "occlusion"
    with pytest.raises(UsageError, match="Did you mean 'spam'"):
        list(mark_samples(make_model(texts), name("a"), Question(label="span")))


@pytest.mark.parametrize(("length", "verdict"), [(4, "same"), (2, "another")])
def test_a_file_that_goes_by_other_words_is_found(texts: Any, length: int, verdict: str) -> None:
    # Its labels are in another order, too.
    file = make_model(texts, length, ("ham", "spam"))
    (found,) = mark_samples(
        make_model(texts), name("free it, ok now"), Question(label="spam", file=file)
    )
    assert found.file_marks is not None
    assert found.file_marks.label == "spam"
    document = found.to_dict("text")
    assert document["agreement"]["verdict"] == verdict
    assert document["explained"][-1]["model"] == "file"


@pytest.fixture
def told(texts: Any) -> Callable[..., tuple[int, str]]:
    def tell(done: list[MarkedSample], *, terminal: bool = False, **options: Any) -> Any:
        stream = type("Stream", (io.StringIO,), {"isatty": lambda _: terminal})()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            given = {"truths": {}, "page": None, "title": "run", **options}
            code = tell_marks(Output(), done, texts, **given)
        return code, stream.getvalue()

    return tell


def test_people_are_told_the_words(
    texts: Any, told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    words = "\x1b[2Jfree it is \u202enow"
    done = list(mark_samples(make_model(texts, 8), name(words), Question(label="spam")))
    code, plain = told(done, truths={words: "ham"})
    assert code == 0
    assert plain.splitlines() == [
        "spam 0.250, in truth ham",
        "  \\x1b[2Jfree it is \\u202enow",
        "  the score falls without: \\x1b[2Jfree 0.250",
    ]
    _, drawn = told(done, terminal=True)
    assert "\x1b[2J" not in drawn
    assert "\x1b[1;7m" in drawn  # bold, in reverse
    blank = list(mark_samples(make_model(texts, 9), name("free"), Question(label="spam")))
    assert "nothing in it speaks for spam" in told(blank)[1]


def test_a_page_is_written(texts: Any, told: Callable[..., Any], tmp_path: Path) -> None:
    attack = "<b>f</b> <script>alert(1)</script> free"
    sample = Sample("t.csv:2", content=attack)
    done = list(
        mark_samples(make_model(texts), [Labelled("t.csv:2", sample)], Question(label="spam"))
    )
    page = check_marks_page(str(tmp_path / "new" / "out"), overwrite=False)
    assert page is not None
    code, text = told(done, page=page)
    assert (code, f"page  {page}" in text) == (0, True)
    written = page.read_text(encoding="utf-8")
    assert "<script>" not in written
    assert '<mark class="for" style="--percent: 100%">free</mark>' in written
    assert "t.csv:2" in written
    with pytest.raises(StorageError, match="--overwrite"):
        check_marks_page(str(page.parent), overwrite=False)
    assert check_marks_page(str(page.parent), overwrite=True) == page
    with pytest.raises(StorageError, match="expected a folder"):
        check_marks_page(str(page), overwrite=True)
    assert check_marks_page(None, overwrite=False) is None


def test_places_of_pictures_are_refused(texts: Any) -> None:
    refuse_places(texts, box=None, mask=None)
    with pytest.raises(UsageError, match="no --box, --stage for texts, of which each word"):
        refuse_places(texts, box="1,2,3,4", stage="x")
