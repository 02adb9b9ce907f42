"""How long samples are, in figures, and which of them go together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer.data.draw import EpochDraw
from tfxfer.data.lengths import group_lengths, picture_lengths

LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=200).map(np.array)


def test_a_picture_of_known_lengths() -> None:
    lengths = np.array([*[4] * 10, *[20] * 9, 100])
    picture = picture_lengths(lengths, size=40, unit="words")
    assert (picture.samples, picture.median, picture.p95, picture.longest) == (20, 12, 20, 100)
    assert (picture.longer, picture.cut) == (1, pytest.approx(60 / 320))
    assert picture.describe("notes") == (
        "lengths in words: half of the notes have at most 12, 95 % at most 20, the longest 100; "
        "the input takes 40: 1 of them is longer (5.0 %), and 18.8 % of all words are cut"
    )
    whole = picture_lengths(lengths, size=100, unit="words").describe("notes")
    assert whole.endswith("the input takes 100, and nothing is cut")


@settings(deadline=None)
@given(lengths=LENGTHS, size=st.integers(1, 200))
def test_every_sample_is_in_one_bin(lengths: np.ndarray, size: int) -> None:
    picture = picture_lengths(lengths, size=size, unit="words")
    assert sum(picture.counts) == len(lengths) == picture.samples
    assert list(picture.edges) == sorted(set(picture.edges))
    assert len(picture.edges) == len(picture.counts) + 1 <= 16
    total = max(int(lengths.sum()), 1)
    assert picture.cut == pytest.approx(sum(max(0, x - size) for x in lengths.tolist()) / total)
    for name, count, bar in picture.draw():
        assert name
        assert (count == "0") == (bar == "")


@settings(deadline=None)
@given(lengths=LENGTHS, batch_size=st.integers(1, 40), seed=st.integers(0, 99))
def test_grouping_only_reorders(lengths: np.ndarray, batch_size: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(lengths))
    places = [
        group_lengths(order, lengths, batch_size=batch_size, rng=np.random.default_rng(seed))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*places)
    assert sorted(places[0].tolist()) == list(range(len(lengths)))
    rest = len(lengths) % batch_size
    if rest:  # as it was drawn, so that it is not always the longest
        assert places[0][-rest:].tolist() == list(range(len(lengths) - rest, len(lengths)))


def draw(lengths: np.ndarray | None, **options: object) -> EpochDraw:
    settings = {"samples": 200, "views": 3, "batch_size": 16, "seed": 5, "lengths": lengths}
    return EpochDraw(**(settings | options))  # type: ignore[arg-type]


def test_batches_hold_samples_of_like_length_in_a_random_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 200)

    def spreads(found: EpochDraw) -> list[int]:
        order = found.epoch(3)[0]
        batches = [lengths[order[i : i + 16]] for i in range(0, 192, 16)]
        return [int(np.ptp(batch)) for batch in batches]

    assert np.mean(spreads(draw(lengths))) < 0.25 * np.mean(spreads(draw(None)))
    order = draw(lengths).epoch(3)[0]
    starts = [lengths[order[i]] for i in range(0, 192, 16)]
    assert starts != sorted(starts)


def test_the_same_views_are_drawn_whether_or_not_lengths_are_known() -> None:
    lengths = np.arange(200)
    for number in (0, 1, 7):
        with_lengths, without = draw(lengths), draw(None)
        pairs = [set(zip(*each.epoch(number), strict=True)) for each in (with_lengths, without)]
        assert pairs[0] == pairs[1]
        np.testing.assert_array_equal(with_lengths.epoch(number), with_lengths.epoch(number))
    assert draw(lengths).epoch(0)[0].tolist() != draw(lengths).epoch(1)[0].tolist()
    assert draw(lengths).epoch(0)[0].tolist() != draw(lengths, seed=6).epoch(0)[0].tolist()
    cycled = draw(lengths, cycle=(0, 2))
    assert set(zip(*cycled.epoch(5), strict=True)) == set(zip(*cycled.epoch(1), strict=True))
    plain = draw(lengths, shuffle=False).epoch(4)[0]
    assert plain.tolist() == list(range(200))
