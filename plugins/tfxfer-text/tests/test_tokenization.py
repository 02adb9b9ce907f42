"""A text as numbers of word pieces, by hand; and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import ContractError, DataError, WeightsError
from tfxfer.sample import Sample
from tfxfer_text import TextModality, Tokenization
from tfxfer_text.folder import open_folder, read_encoder, read_tokenization
from tfxfer_text.miniature import WORDS


@pytest.fixture(scope="module")
def contract(tiny_folder: Path) -> Tokenization:
    folder = open_folder(str(tiny_folder))
    return read_tokenization(folder, read_encoder(folder))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("A great film.", ["a", "great", "film", "."]),
        ("films, FILMING!", ["film", "##s", ",", "film", "##ing", "!"]),
        ("Zz", ["z", "##z"]),
        ("d\u00e9j", ["d", "##e", "##j"]),  # é is e
        ("e\u0301", ["e"]),  # the same, in two characters
        ("the\u4e2dfilm", ["the", "中", "film"]),  # a Chinese character is a word
        ("the\x00 fi\x07lm", ["the", "film"]),  # controls are nothing
        ("the\tfilm\r\nof\u00a0a\u3000man", ["the", "film", "of", "a", "man"]),
        ("\U0001f600 film", ["[UNK]", "film"]),
        ("x" * 100, ["x", *["##x"] * 99]),
        ("x" * 101, ["[UNK]"]),
        ("", []),
        (" \n", []),
        ("[SEP] [UNK]", ["[UNK]", "s", "##e", "##p", "[UNK]", "[UNK]", "u", "##n", "##k", "[UNK]"]),
    ],
)
def test_a_text_becomes_the_longest_pieces(
    contract: Tokenization, text: str, pieces: list[str]
) -> None:
    assert contract.split(text) == pieces
    assert contract.number(text) == [WORDS.index(piece) for piece in pieces]


def test_capitals_and_accents_count_where_the_contract_says_so(contract: Tokenization) -> None:
    cased = replace(contract, lowercase=False, strip_accents=False)
    assert cased.split("The film é") == ["[UNK]", "film", "é"]
    accents = replace(contract, strip_accents=False)
    assert accents.split("The \u00c9") == ["the", "é"]
    assert accents.normalize("\u00c9\x00A") == "éa"
    assert contract.normalize("\u00c9A") == "ea"


def test_a_text_is_begun_cut_and_ended(contract: Tokenization) -> None:
    start, end = WORDS.index("[CLS]"), WORDS.index("[SEP]")
    numbers = contract.number("a film of the night")
    assert contract.frame(numbers, 7) == [start, *numbers, end]
    assert contract.frame(numbers, 4) == [start, *numbers[:2], end]
    assert contract.frame([], 4) == [start, end]


def test_what_a_model_reads_is_filled_up(contract: Tokenization) -> None:
    sample = Sample("x", content="a film")
    found = TextModality().read(sample, size=6, contract=contract)
    assert {name: values.tolist() for name, values in found.items()} == {
        "ids": [[2, WORDS.index("a"), WORDS.index("film"), 3, 0, 0]],
        "mask": [[1, 1, 1, 1, 0, 0]],
        "segment_ids": [[0] * 6],
    }


def test_half_a_surrogate_pair_is_refused(contract: Tokenization) -> None:
    with pytest.raises(DataError, match="half of a surrogate pair"):
        contract.number("a \ud83d film")


def test_a_contract_is_stored_and_found_again(contract: Tokenization, tmp_path: Path) -> None:
    stored = json.loads(json.dumps(contract.to_dict()))
    found = Tokenization.from_dict(stored)
    assert found == contract
    assert found.path is None
    assert found.number("a film") == contract.number("a film")  # by where it came from
    copied = tmp_path / "vocab.txt"
    assert contract.path is not None
    copied.write_bytes(contract.path.read_bytes())
    beside = Tokenization.from_dict(stored, path=copied)
    assert beside == contract
    assert beside.find_vocabulary() == copied
    copied.write_text("\n".join(WORDS[::-1]))
    with pytest.raises(WeightsError, match="expected the one of the weights, sha256"):
        beside.find_vocabulary()
    copied.unlink()
    with pytest.raises(WeightsError, match="nothing there"):
        beside.find_vocabulary()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"max_tokens": 2}, "more than 2 tokens"),
        ({"max_tokens": "512"}, "whole number"),
        ({"lowercase": "yes"}, "true or false"),
        ({"colour": 1}, "colour"),
    ],
)
def test_an_edited_contract_is_refused(
    contract: Tokenization, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        Tokenization.from_dict({**contract.to_dict(), **change})
    lacking = contract.to_dict()
    del lacking["start"]
    with pytest.raises(ContractError, match="start"):
        Tokenization.from_dict(lacking)
