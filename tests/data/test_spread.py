from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.data.spread import spread_rows


@given(st.integers(0, 500), st.integers(1, 60))
def test_rows_are_different_and_cover_the_whole(count: int, most: int) -> None:
    rows = spread_rows(count, most)
    assert len(rows) == min(count, most)
    assert rows == sorted(set(rows))
    assert all(0 <= row < count for row in rows)
    # No gap is wider than the even one, rounded up.
    edges = [-1, *rows, count]
    if rows:
        assert max(b - a for a, b in itertools.pairwise(edges)) <= -(-count // len(rows))


@pytest.mark.parametrize(("count", "most", "rows"), [(0, 3, []), (3, 8, [0, 1, 2]), (9, 1, [4])])
def test_few(count: int, most: int, rows: list[int]) -> None:
    assert spread_rows(count, most) == rows
