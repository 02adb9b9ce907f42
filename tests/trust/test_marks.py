"""Marks of a model that counts words of some lengths: what each word does can be written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import DataError, ModelError, Sample, get_head, get_modality
from tfxfer.inference.predictor import Predictor
from tfxfer.trust.marks import Marks, check_parts, mark_parts, place_spans

DOUBLE = Path(__file__).parents[1] / "plugins" / "good_modality"


@pytest.fixture(scope="module")
def texts() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOUBLE)
        yield import_module("double_good_texts")


def count_words(inputs: Any) -> np.ndarray:
    """Returns 3 points for each word of four letters, less 2 for each of seven; and the rest."""
    ids = inputs["ids"]
    loud = 3.0 * (ids == 4).sum(axis=1) - 2.0 * (ids == 7).sum(axis=1)
    return np.stack([loud, 1.0 * (ids == 2).sum(axis=1)], axis=1)


@pytest.fixture
def make(texts: Any) -> Callable[..., Predictor]:
    def make_predictor(score: Any = count_words, size: int = 8) -> Predictor:
        head = get_head("classification")
        return Predictor("double", ("spam", "ham"), head, texts.Texts(), size, None, score)

    return make_predictor


def mark(predictor: Predictor, text: str, output: int = 0, **options: Any) -> Marks:
    scores, (found,) = mark_parts(
        predictor, Sample("a", content=text), lambda _: [output], **options
    )
    assert found.score == scores[output]
    return found


def test_what_each_word_does_is_found(make: Callable[..., Predictor]) -> None:
    found = mark(make(), "a free ticket, my friend: free entries!")
    assert [part.text.strip() for part in found.parts] == [
        "a", "free", "ticket,", "my", "friend:", "free", "entries!",
    ]  # fmt: skip
    assert "".join(part.text for part in found.parts) == "a free ticket, my friend: free entries!"
    # `ticket,` and `friend:` have seven characters, and `entries!` eight.
    assert found.drops == (0, 3, -2, 0, -2, 3, 0)
    assert found.strengths == (0, 1, -2 / 3, 0, -2 / 3, 1, 0)
    assert (found.label, found.score, found.is_blank) == ("spam", 2.0, False)
    assert found.list_strongest(5) == (("free", 3.0), ("free", 3.0))
    # The answer is what is explained where nobody says otherwise.
    assert mark_parts(make(), Sample("a", content="a free"))[1][0].label == "spam"
    assert mark_parts(make(), Sample("a", content="an ox"))[1][0].label == "ham"
    # Another output has other words: the negative control.
    other = mark(make(), "a free ticket, my friend: free entries!", output=1)
    assert other.drops == (0, 0, 0, 1, 0, 0, 0)


def test_a_model_that_reads_no_words_has_no_marks(make: Callable[..., Predictor]) -> None:
    flat = make(lambda inputs: np.full((len(inputs["ids"]), 2), 0.5))
    found = mark(flat, "one two three")
    assert found.is_blank
    assert found.strengths == (0, 0, 0)
    assert found.list_strongest(3) == ()


def test_what_the_network_does_not_see_counts_for_nothing(make: Callable[..., Predictor]) -> None:
    words = "free " * 3 + "then free"
    found = mark(make(size=3), words)
    assert [part.is_seen for part in found.parts] == [True, True, True, False, False]
    # Without one, `then` moves up, which has four letters, too.
    assert found.drops == (0, 0, 0, 0, 0)
    document = found.to_dict()
    assert document["parts"][-1] == {"text": "free", "drop": 0.0, "seen": False}
    assert document["parts"][0] == {"text": "free ", "drop": 0.0}


@pytest.mark.parametrize(("count", "most"), [(0, 4), (1, 4), (4, 4), (5, 4), (63, 10), (64, 1)])
def test_spans_cover_every_part(count: int, most: int) -> None:
    spans = place_spans(count, most)
    assert {i for span in spans for i in span} == set(range(count))
    assert len(spans) <= most
    assert all(len(span) == 1 for span in spans) is (count <= most)


def test_spans_of_a_long_text_share_the_drop(make: Callable[..., Predictor]) -> None:
    told: list[int] = []
    found = mark(
        make(size=40),
        "a " * 20 + "free " + "a " * 19,
        most=10,
        progress=lambda _, done, total: told.append(total),
    )
    # 40 words, stride 4, 8 words a span: `free`, the 21st, is in the spans from 16 and from 20.
    assert told[-1] == 9
    assert [i for i, drop in enumerate(found.drops) if drop > 0] == list(range(16, 28))
    assert found.drops[20] == 3
    assert found.drops[16] == found.drops[27] == 1.5
    assert np.argmax(found.drops) == 20


def test_what_has_no_parts_is_refused(make: Callable[..., Predictor]) -> None:
    with pytest.raises(DataError, match="images: expected samples with places or parts"):
        check_parts(get_modality("image"))
    image = get_modality("image")
    with pytest.raises(DataError, match="expected parts that can be left out"):
        image.list_parts(Sample("a"), size=8, contract=None)
    with pytest.raises(DataError, match="expected parts that can be left out"):
        image.read_without(Sample("a"), [()], size=8, contract=None)
    with pytest.raises(ModelError, match="finite scores"):
        mark(make(lambda inputs: np.full((len(inputs["ids"]), 2), np.nan)), "one")
