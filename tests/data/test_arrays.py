from __future__ import annotations

import numpy as np
import pytest

from tfxfer.data.arrays import count_rows, list_arrays, map_arrays


def test_one_array_stays_one_array() -> None:
    first, second = np.arange(6).reshape(3, 2), np.ones((3, 2), int)
    found = map_arrays(np.add, first, second)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert list_arrays(first) == [first]
    assert count_rows(first) == 3


def test_arrays_are_joined_by_name_and_keep_the_order_of_the_first() -> None:
    first = {"ids": np.array([1, 2]), "mask": np.array([[1, 1], [1, 0]])}
    other = {"mask": np.zeros((2, 2), int), "ids": np.array([30, 40])}
    found = map_arrays(np.add, first, other)
    assert isinstance(found, dict)
    assert list(found) == ["ids", "mask"]
    assert found["ids"].tolist() == [31, 42]
    assert [x.ndim for x in list_arrays(first)] == [1, 2]
    assert count_rows(first) == 2


def test_another_input_is_no_match() -> None:
    with pytest.raises(KeyError, match="mask"):
        map_arrays(np.add, {"mask": np.ones(2)}, {"ids": np.ones(2)})
