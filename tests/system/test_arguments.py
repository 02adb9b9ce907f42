from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError, UsageError
from tfxfer.system.arguments import (
    check_kind,
    check_number,
    check_path,
    check_texts,
    describe_value,
    is_real,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        ("a", "'a'"),
        (Path("a"), "'a'"),
        (0.5, "0.5"),
        ([1], "a list"),
        (np.zeros(3), "a ndarray"),
        (object(), "an object"),
        (UsageError, "the class UsageError"),
    ],
)
def test_values_are_told_in_few_words(value: Any, words: str) -> None:
    assert describe_value(value) == words


def test_long_values_are_cut() -> None:
    assert len(describe_value("x" * 1000)) < 100


def test_kinds() -> None:
    check_kind("a", str, where="f", name="x", expected="text")
    with pytest.raises(DataError, match=r"^f: expected text as x\. Received: x=3\.$"):
        check_kind(3, str, where="f", name="x", expected="text", error=DataError)


@pytest.mark.parametrize("value", [0, True, 2.0, "2", None, float("nan")])
def test_numbers_are_whole_and_large_enough(value: Any) -> None:
    check_number(np.int64(1), where="f", name="n", least=1)
    with pytest.raises(UsageError, match=r"f: expected a whole number of at least 1 as n"):
        check_number(value, where="f", name="n", least=1)


def test_paths() -> None:
    assert check_path("a", where="f") == check_path(Path("a"), where="f") == Path("a")
    for value in (None, 3, ["a"], b"a"):
        with pytest.raises(UsageError, match="f: expected a path as path"):
            check_path(value, where="f")


def test_one_text_is_not_several() -> None:
    assert check_texts(["a", "b"], where="f", name="labels", expected="names") == ("a", "b")
    for value in ("ab", None, 3, ["a", 1]):
        with pytest.raises(UsageError, match="f: expected names as labels"):
            check_texts(value, where="f", name="labels", expected="names")


def test_true_is_no_number() -> None:
    assert [is_real(x) for x in (1, 0.5, np.float32(1), True, "1", None)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
