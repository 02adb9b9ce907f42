"""Near copies stay together, and nothing else does."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer_text.duplicates import (
    LEAST_LIKENESS,
    compare_shingles,
    find_near_texts,
    list_shingles,
)
from tfxfer_text.texts import normalize_text


def groups(*texts: str) -> list[int]:
    return find_near_texts([list_shingles(text) for text in texts]).tolist()


def jaccard(one: str, other: str) -> float:
    """By its definition, of sets of runs of five characters."""
    sets = []
    for text in map(normalize_text, (one, other)):
        padded = text + "\0" * (5 - len(text))
        sets.append({padded[i : i + 5] for i in range(len(padded) - 4)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


PRIZE = (
    "URGENT! You have won a 1 week FREE membership in our 100,000 prize jackpot! Txt the word "
    "CLAIM to No: {} within 24 hours, terms and conditions apply, see our page"
)


def test_case_spaces_and_forms_of_characters_are_no_difference() -> None:
    assert groups("Free  entry NOW", "free entry now", " FREE\tENTRY\u00a0now\n", "something") == [
        0, 0, 0, 3,
    ]  # fmt: skip


def test_a_number_in_a_long_message_is_none_and_in_a_short_one_it_is() -> None:
    assert groups(PRIZE.format("81010"), PRIZE.format("87077")) == [0, 0]
    assert groups("your code is 1234", "your code is 8765") == [0, 1]


def test_a_chain_of_small_changes_joins_nothing() -> None:
    words = [f"word{number}" for number in range(30)]
    chain = [" ".join([f"new{i}" for i in range(step)] + words[step:]) for step in range(0, 31, 2)]
    assert min(map(jaccard, chain[:-1], chain[1:])) >= LEAST_LIKENESS
    found = groups(*chain)
    assert len(set(found)) > 3
    for number, group in enumerate(found):
        assert jaccard(chain[number], chain[group]) >= LEAST_LIKENESS


@pytest.mark.parametrize("other", ["abcdefgh", "abcdefgz", "abcxdefgh", "hello", "", "abc"])
def test_the_index_of_short_texts_is_exact(other: str) -> None:
    one = "abcdefgh"
    found = compare_shingles(list_shingles(one), list_shingles(other))
    assert found == pytest.approx(jaccard(one, other))


def test_the_index_of_long_texts_is_close() -> None:
    rng = random.Random(0)
    words = [f"{rng.getrandbits(40):x}" for _ in range(2000)]
    for kept in (1000, 1600, 1900, 2000):
        other = words[:kept] + [f"{rng.getrandbits(40):x}" for _ in range(2000 - kept)]
        texts = " ".join(words), " ".join(other)
        found = compare_shingles(*map(list_shingles, texts))
        # Four standard errors of a share among 1,024.
        assert abs(found - jaccard(*texts)) < 4 * 0.5 / 32 if kept < 2000 else found == 1
        assert abs(found - jaccard(*texts) / 2) > 4 * 0.5 / 32  # the check sees a wrong index


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=12))
def test_groups_are_led_by_their_first_text_which_all_are_like(texts: list[str]) -> None:
    found = groups(*texts)
    for number, group in enumerate(found):
        assert group <= number
        assert found[group] == group
        likeness = compare_shingles(list_shingles(texts[number]), list_shingles(texts[group]))
        assert likeness >= LEAST_LIKENESS
    for one, other in ((0, len(texts) - 1),):
        if normalize_text(texts[one]) == normalize_text(texts[other]):
            assert found[one] == found[other]


def test_pairs_just_above_the_threshold_are_found_nearly_always() -> None:
    rng = random.Random(1)
    missed = pairs = 0
    for _ in range(150):
        words = [f"{rng.getrandbits(24):x}" for _ in range(40)]
        other = [*words[:-3], *[f"{rng.getrandbits(24):x}" for _ in range(3)]]
        one, two = " ".join(words), " ".join(other)
        if jaccard(one, two) >= LEAST_LIKENESS + 0.02:
            pairs += 1
            missed += groups(one, two) != [0, 0]
    assert pairs > 50
    assert missed <= 1


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each pair of texts that was looked at: seconds would depend on the machine."""
    pairs: list[None] = []

    def compare(one: np.ndarray, other: np.ndarray) -> float:
        pairs.append(None)
        return compare_shingles(one, other)

    monkeypatch.setattr("tfxfer_text.duplicates.compare_shingles", compare)
    return pairs


def test_unlike_texts_are_compared_with_few_others(
    compared: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(0)
    words = [f"w{number}" for number in range(300)]  # few, so that texts share much
    texts = [" ".join(rng.choices(words, k=20)) for _ in range(4000)]
    shingles = [list_shingles(text) for text in texts]
    assert len(np.unique(find_near_texts(shingles))) > 0.9 * len(texts)
    assert len(compared) < 4 * len(texts)  # all pairs would be 2,000 a text

    compared.clear()
    monkeypatch.setattr("tfxfer_text.duplicates._ROWS", 1)  # bands that nearly all texts share
    find_near_texts(shingles[:500])
    assert len(compared) > 4 * 500


def test_a_thousand_copies_are_compared_with_the_first_alone(compared: list[None]) -> None:
    texts = [PRIZE.format(number) for number in range(81000, 84000)]
    found = find_near_texts([list_shingles(text) for text in texts])
    groups = len(set(found.tolist()))
    assert groups < 10
    assert len(compared) < groups * len(texts)
