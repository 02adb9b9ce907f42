from __future__ import annotations

import numpy as np
import pytest

from tfxfer.errors import DataError
from tfxfer.trust.groups import choose_groupings, group_samples


def test_values_are_groups_in_the_order_of_numbers() -> None:
    found = group_samples("year", ["10", "9", "", "10", "new"])
    assert found.names == ("9", "10", "new")
    assert found.numbers.tolist() == [1, 0, -1, 1, 2]
    assert (found.unknown, found.is_binned, found.list_sizes()) == (1, False, [1, 2, 1])


def test_many_numbers_are_quarters() -> None:
    values = np.random.default_rng(0).permutation(np.arange(100.0))
    found = group_samples("age", [*map(str, values), ""])
    assert found.is_binned
    assert found.list_sizes() == [25, 25, 25, 25]
    assert found.unknown == 1
    for value, number in zip(values, found.numbers, strict=False):
        assert number == value // 25


def test_quarters_of_large_numbers_have_names_of_their_own() -> None:
    # Seconds of one hour: in six digits all of them are 1.7e+09.
    found = group_samples("time", [str(1_700_000_000 + second) for second in range(100)])
    assert len(set(found.names)) == 4
    assert found.names[0] == "below 1700000025"
    assert found.names[2] == "1700000050 to 1700000074"
    assert found.list_sizes() == [25, 25, 25, 25]
    for step in (1e-8, 1e-30, 1e30):
        cells = [repr(step * (1 + number / 1e9)) for number in range(100)]
        assert len(set(group_samples("tiny", cells).names)) == 4


def test_a_value_that_many_share_is_no_empty_range() -> None:
    found = group_samples("zeros", ["0"] * 200 + [str(number) for number in range(1, 31)])
    assert min(found.list_sizes()) > 0
    assert sum(found.list_sizes()) == 230


@pytest.mark.parametrize(
    ("cells", "words"),
    [(["", ""], "empty cells"), ([f"patient {n}" for n in range(21)], "21, such as 'patient 0'")],
)
def test_columns_that_are_no_groups(cells: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        group_samples("name", cells)


def test_what_is_looked_at_by_default() -> None:
    slices = {
        "camera": ["x", "y"] * 15,
        "same": ["x"] * 30,
        "empty": [""] * 30,
        "age": [str(number) for number in range(30)],
        "week": [str(number) for number in range(30) for _ in range(2)],
    }
    groupings, left_out = choose_groupings(slices)
    assert [grouping.column for grouping in groupings] == ["camera"]
    assert left_out == {
        "same": "it says the same of all samples",
        "empty": "it is empty",
        "age": "nearly every sample has a value of its own",
        "week": "30 values, more than 20",
    }
    groupings, left_out = choose_groupings(slices, ["age", "same"])
    assert [len(grouping.names) for grouping in groupings] == [4, 1]
    assert left_out == {}


def test_a_column_that_none_of_the_samples_has() -> None:
    with pytest.raises(DataError, match="empty cells alone"):
        choose_groupings({"camera": ["x"]}, ["site"])
