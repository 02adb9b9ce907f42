from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.errors import ModelError
from tfxfer_edge.tflite.metadata_builder import Draft, pack_table
from tfxfer_edge.tflite.metadata_table import Table

FLOATS = st.floats(width=32, allow_nan=False)


def read(draft: Draft) -> Table:
    return Table.of_root(pack_table(draft, identifier=b"TEST"), b"TEST")


@given(
    st.text(), st.integers(0, 127), st.lists(FLOATS, max_size=5), st.lists(st.text(), max_size=4)
)
def test_what_is_written_is_read(
    text: str, number: int, floats: list[float], names: list[str]
) -> None:
    inner = [Draft({1: name}) for name in names]
    found = read(
        Draft({0: text, 2: np.uint8(number), 3: tuple(floats), 5: inner, 7: Draft({0: text})})
    )
    assert found.string(0) == text
    assert found.byte(2) == number
    assert list(found.floats(3)) == floats
    assert [table.string(1) for table in found.tables(5)] == names
    assert found.table(7)[0].string(0) == text


def test_what_is_left_out_is_absent() -> None:
    found = read(Draft({0: None, 2: Draft({})}))
    assert found.string(0) == ""
    assert found.byte(1) == 0
    assert found.floats(1) == ()
    assert found.tables(1) == found.table(1) == []
    assert len(found.table(2)) == 1


def test_another_identifier_is_refused() -> None:
    with pytest.raises(ModelError, match="expected M001 at byte 4"):
        Table.of_root(pack_table(Draft({0: "x"}), identifier=b"TEST"), b"M001")
