"""Words of a text that can be left out, as the network reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfxfer import Part, Sample
from tfxfer.system.files import file_sha256
from tfxfer_text import TextModality, Tokenization
from tfxfer_text.words import split_words

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "win", "a", "free", "##ly", "prize", ",", "好", "的")
TEXTS = TextModality()


@pytest.fixture
def contract(tmp_path: Path) -> Tokenization:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return Tokenization(file_sha256(path), "tiny", path=path)


def read_ids(contract: Tokenization, text: str, size: int) -> list[int]:
    found = TEXTS.read(Sample("a", content=text), size=size, contract=contract)
    return [int(x) for x in found["ids"][0]]


@pytest.mark.parametrize("text", ["Win  a free prize", " win,\n free ", "好的 win", "", "  "])
def test_words_and_rest_are_the_text(contract: Tokenization, text: str) -> None:
    for size in (3, 4, 16):
        words, rest = split_words(text, contract, size)
        assert "".join(word for word, _ in words) + rest == text
    # Word by word a text becomes what it becomes as a whole.
    words, rest = split_words(text, contract, 64)
    assert [x for _, numbers in words for x in numbers] == contract.number(text)
    assert rest == "" or not words


def test_parts_are_words_and_what_is_beyond_the_input(contract: Tokenization) -> None:
    sample = Sample("a", content="Win a freely prize, 好的")
    parts = TEXTS.list_parts(sample, size=16, contract=contract)
    assert [part.text for part in parts] == ["Win", " a", " freely", " prize,", " 好", "的"]
    assert all(part.is_seen for part in parts)
    # Two tokens are no words; `freely` has two pieces, of which the network still reads one.
    cut = TEXTS.list_parts(sample, size=5, contract=contract)
    assert cut == (Part("Win"), Part(" a"), Part(" freely"), Part(" prize, 好的", is_seen=False))


def test_a_text_without_words_is_as_if_they_were_not_written(contract: Tokenization) -> None:
    text, size = "win a freely prize, win free", 6
    sample = Sample("a", content=text)
    found = TEXTS.read_without(sample, [(), (0,), (1, 2), (2,)], size=size, contract=contract)
    shorter = [text, "a freely prize, win free", "win prize, win free", "win a prize, win free"]
    assert [[int(x) for x in row] for row in found["ids"]] == [
        read_ids(contract, each, size) for each in shorter
    ]
    assert np.array_equal(found["mask"], np.ones((4, size)))
    # Nothing at all is left: a beginning and an end.
    alone = TEXTS.read_without(Sample("a", content="win"), [(0,)], size=4, contract=contract)
    assert alone["ids"].tolist() == [[2, 3, 0, 0]]
    assert alone["mask"].tolist() == [[1, 1, 0, 0]]


def test_a_megabyte_is_no_million_words(contract: Tokenization) -> None:
    sample = Sample("a", content="win a prize " * 100_000)
    parts = TEXTS.list_parts(sample, size=64, contract=contract)
    assert len(parts) == 63
    found = TEXTS.read_without(sample, [(0,)], size=64, contract=contract)
    assert found["mask"].all()
