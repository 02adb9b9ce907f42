"""Cells that no spreadsheet takes for a formula, and the texts that they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.system.plain_text import escape_controls, guard_cell, unguard_cell


@pytest.mark.parametrize("text", ["-0.5", "+3", "-1e-3", "-.5", "-4."])
def test_a_number_is_no_formula(text: str) -> None:
    assert guard_cell(text) == text
    assert unguard_cell(text) == text


@pytest.mark.parametrize("text", ["-1+2", "-A1", "-inf", "=1", "@x", "+", "-1|2", "-٣", "-1\n"])
def test_all_else_that_begins_so_is_one(text: str) -> None:
    assert guard_cell(text) == f"'{escape_controls(text)}"


@given(st.text("'=-+@1.e ab|", max_size=6))
def test_what_was_guarded_comes_back(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text
    # A cell of before numbers stayed as they are.
    if text[:1] in ("=", "+", "-", "@"):
        assert unguard_cell(f"'{text}") == text
