from __future__ import annotations

import numpy as np
import pytest

from tfxfer import DataError
from tfxfer.evaluation.comparison import ModelAnswer, compare_answers
from tfxfer.evaluation.intervals import matched_interval


def answers(rights: str) -> dict[str, ModelAnswer]:
    """Maps a text such as `+-` to answers that are right and wrong."""
    return {
        str(number): ModelAnswer(f"{number}.png", "a", "a" if sign == "+" else "b", sign == "+")
        for number, sign in enumerate(rights)
    }


def test_each_sample_is_counted_once() -> None:
    found = compare_answers(answers("++--+"), answers("+-+-"))
    assert (found.both, found.only_first, found.only_second, found.neither) == (1, 1, 1, 1)
    assert found.samples == 4
    assert found.difference["value"] == 0
    assert [(x.first.path, x.first.right) for x in found.differing] == [
        ("1.png", True),
        ("2.png", False),
    ]


def test_the_better_one_is_named_only_where_it_shows() -> None:
    few = compare_answers(answers("+-" * 5), answers("++" * 5))
    assert "no difference can be seen with 10 photos" not in few.describe("A", "B", plural="photos")
    same = compare_answers(answers("+-+-"), answers("-++-"))
    assert "no difference can be seen with 4 photos" in same.describe("A", "B", plural="photos")
    much = compare_answers(answers("+" * 40 + "-" * 60), answers("+" * 100))
    words = much.describe("A", "B", plural="photos")
    assert words.startswith(
        "B is right on 60 photos where A is wrong, A on 0 where B is: B is better"
    )
    back = compare_answers(answers("+" * 100), answers("+" * 40 + "-" * 60))
    assert "A is better by 60.0 points" in back.describe("A", "B", plural="photos")
    assert much.difference == matched_interval(np.array([0.0] * 40 + [1.0] * 60))
    assert much.to_dict()["only_b"] == 60


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(DataError, match="none in common, of 2 and 0"):
        compare_answers(answers("++"), {})
