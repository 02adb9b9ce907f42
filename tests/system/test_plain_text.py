"""Cells that no spreadsheet takes for a formula, and the texts that they were."""

from __future__ import annotations

import csv
import json
import logging
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer.system.files import to_json, write_table
from tfxfer.system.logs import harmless_logs
from tfxfer.system.plain_text import (
    escape_controls,
    guard_cell,
    guard_row,
    pack_text,
    unguard_cell,
    unpack_text,
)


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


@given(st.text())
def test_a_packed_text_is_harmless_and_comes_back(text: str) -> None:
    packed = pack_text(text)
    assert packed == escape_controls(packed)
    assert "\n" not in packed
    assert unpack_text(packed) == text


@pytest.mark.parametrize("text", [r"\U00110000.jpg", r"\Uffffffff.jpg"])
def test_what_is_no_character_is_left_as_it_stands(text: str) -> None:
    assert unpack_text(text) == text
    assert unpack_text(r"\U0010ffff") == "\U0010ffff"


@given(st.text())
def test_a_path_in_a_table_comes_back(text: str) -> None:
    assert unpack_text(unguard_cell(guard_cell(pack_text(text)))) == text


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_says_the_same_and_steers_nothing(document: object) -> None:
    text = to_json(document)
    assert text == "\n".join(map(escape_controls, text.split("\n")))
    assert json.loads(text) == document


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r", "\uff1d", "\uff0b", "\uff20"])
def test_no_cell_is_a_formula(start: str, tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{f"{start}column": f"{start}cmd|' /C calc'!A0"}])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert len(cells) == 2
    for cell in cells:
        assert cell[0] in "'\\", cell


def test_a_cell_that_is_guarded_is_guarded_once(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [guard_row({"a": "=1", "b": -1.5, "c": "-2"})])
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n'=1,-1.5,-2\n"


def test_logs_and_warnings_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[2J\u202ename"
    log = logging.getLogger("tfxfer.test_logs")
    log.propagate = False
    with harmless_logs(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.lastResort.handle(  # type: ignore[union-attr]
            log.makeRecord(log.name, logging.WARNING, "f", 1, "%s is gone", (name,), None)
        )
        sys.stderr.write(warnings.formatwarning(name, UserWarning, "f", 1))
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.count(r"\x1b[2J\u202ename") == 2
    assert logging.lastResort is not None
    assert logging.lastResort.formatter is None
