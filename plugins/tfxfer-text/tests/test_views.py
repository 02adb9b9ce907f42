"""Versions of a text: seeded, never empty, and nothing is invented."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer_text.texts import has_words
from tfxfer_text.views import make_view, split_units

TEXT = "the quick brown fox jumps over the lazy dog and runs away from all of us"


def view(text: str, number: int, level: str = "light", seed: int = 7, index: int = 0) -> str:
    return make_view(text, level=level, seed=seed, index=index, view=number)


def test_the_plain_view_is_the_text_as_it_is() -> None:
    assert view(f"  {TEXT}\n", 0) == f"  {TEXT}\n"
    assert view(f"  {TEXT}\n", 5, "none") == f"  {TEXT}\n"


def test_a_view_follows_from_seed_index_and_number_alone() -> None:
    first = [view(TEXT, number) for number in range(1, 9)]
    assert [view(TEXT, number) for number in reversed(range(1, 9))] == first[::-1]
    assert len(set(first)) > 6
    assert [view(TEXT, number, seed=8) for number in range(1, 9)] != first
    assert [view(TEXT, number, index=1) for number in range(1, 9)] != first


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=60).filter(has_words),
    number=st.integers(1, 2**31),
    level=st.sampled_from(["light", "strong"]),
)
def test_views_of_any_text_hold_some_of_its_words_and_no_others(
    text: str, number: int, level: str
) -> None:
    found = view(text, number, level)
    units, between = split_units(text)
    assert found
    left = Counter(split_units(found)[0] if between else found)
    assert not left - Counter(units if between else text)
    if len(units) > 1 and len(set(units)) == len(units):
        assert found != between.join(units)


def test_how_much_is_dropped() -> None:
    words = " ".join(f"w{number}" for number in range(50))
    for level, share in (("light", 0.1), ("strong", 0.2)):
        lengths = [len(view(words, number, level).split()) for number in range(1, 401)]
        # Four standard errors of 20,000 draws.
        error = 4 * (share * (1 - share) / 20_000) ** 0.5
        assert abs(1 - np.mean(lengths) / 50 - share) < error
        assert abs(1 - np.mean(lengths) / 50 - 1.1 * share) > error / 4


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("今日は", ["今", "日", "は"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("مرحبا", ["مرحبا"]),
        ("你好,世界!", ["你", "好", ",", "世", "界", "!"]),
        ("see 你好 there", ["see", "你好", "there"]),
        ("a" * 400, ["a" * 400]),
    ],
)
def test_words_or_characters(text: str, units: list[str]) -> None:
    assert split_units(text)[0] == units


def test_a_single_word_stays() -> None:
    assert {view("hello", number) for number in range(1, 9)} == {"hello"}
