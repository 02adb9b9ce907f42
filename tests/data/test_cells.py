from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfxfer.data.cells import Cells, is_table, read_cells
from tfxfer.errors import DataError


def fits(names: Sequence[str]) -> bool:
    return {"text", "label"} <= set(names)


def read(path: Path, content: str | bytes, name: str = "table.tsv") -> Cells:
    path = path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_cells(path, fits, where="table")


def cells(table: Cells) -> list[list[str]]:
    return [list(row) for _, row in table.rows]


def test_quotes_of_a_message_are_its_own(tmp_path: Path) -> None:
    lines = ['ham\t"Gimme a few" was minutes ago', 'ham\t"Never ended', "spam\tfree, \"now\"; 'x'"]
    table = read(tmp_path, "label\ttext\n" + "\n".join(lines) + "\n")
    assert cells(table) == [line.split("\t") for line in lines]
    assert [line for line, _ in table.rows] == [2, 3, 4]


def test_a_quote_that_nothing_ends_swallows_no_rows(tmp_path: Path) -> None:
    # By the rules of a CSV the cell would end three rows later, and nobody would know.
    rows = [["ham", '"Hello'], ["spam", "a"], ["ham", 'Bye"'], ["ham", "b"]]
    table = read(tmp_path, "\n".join("\t".join(row) for row in [["label", "text"], *rows]))
    assert cells(table) == rows


def test_quotes_as_programs_write_them_around_cells_are_none(tmp_path: Path) -> None:
    rows = [["ham", 'say "hi", now'], ["spam", "plain"], ["ham", '"all of it"']]
    for lines in ([], [["ham", "two\nlines"]], [["ham", "a\ttab"]]):
        file = io.StringIO()
        csv.writer(file, delimiter="\t").writerows([["label", "text"], *rows, *lines])
        assert cells(read(tmp_path, file.getvalue())) == rows + lines


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\t", exclude_categories=["Cc", "Cs"]),
    min_size=1,
).filter(lambda text: text.strip() == text)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_lines_without_quoting_are_read_as_they_stand(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    has_stray = any('"' in cell and not cell.startswith('"') for row in rows for cell in row)
    lines = ["label\ttext", *("\t".join(row) for row in rows)]
    found = cells(read(tmp_path_factory.mktemp("t"), "\n".join(lines)))
    if has_stray or not any('"' in cell for row in rows for cell in row):
        assert found == [list(row) for row in rows]
    assert len(found) == len(rows)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, st.text(st.sampled_from('ab",;\t\n é'))), max_size=8))
def test_what_python_writes_is_read_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Of rows whose every quote is enclosed there is no doubt; a comma has one way to be read.
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("label", "text"), *rows])
    found = cells(read(tmp_path_factory.mktemp("t"), file.getvalue(), "table.csv"))
    assert found == [list(row) for row in rows]


def test_a_cell_of_a_megabyte_is_one(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = "word, " * 200_000
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        table = read(tmp_path, f'label{delimiter}text\nham{delimiter}"{long}"\n', name)
        assert cells(table) == [["ham", long]]
    assert csv.field_size_limit() == limit


def test_rows_of_another_width_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: expected 2 cells.*Received: 1"):
        read(tmp_path, "label\ttext\nham\thi\nspam\nham\tyes\n")


def test_json_lines(tmp_path: Path) -> None:
    objects = [
        {"text": 'say "hi",\nnow \u2028 and \x85', "label": True},
        {"label": 3, "text": "b", "more": {"x": [1]}},
        {"label": 0.5, "text": None},
    ]
    lines = [json.dumps(each, ensure_ascii=False) for each in objects]
    table = read(tmp_path, b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode(), "t.JSONL")
    assert table.names == ("text", "label", "more")
    first = [objects[0]["text"], "true", ""]
    assert cells(table) == [first, ["b", "3", ""], ["", "0.5", ""]]
    assert [line for line, _ in table.rows] == [1, 3, 5]
    assert table.odd == {2: (1, "no such key")}
    assert read(tmp_path, '{"text": "a", "label": ["x"]}', "t.jsonl").odd == {1: (1, "a list")}


def test_half_a_character_is_replaced_and_told(tmp_path: Path) -> None:
    lines = '{"text": "half \\ud83d", "label": "a"}\n{"text": "\\ud83d\\ude00", "label": "b"}\n'
    table = read(tmp_path, lines, "t.jsonl")
    assert cells(table) == [["half \ufffd", "a"], ["😀", "b"]]
    assert table.notes == ("1 cell holds half of a surrogate pair: it is read as U+FFFD",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a", "label"}', "line 2: expected one JSON object, whole on its line"),
        ("[", "jq -c"),
        ("{", "jq -c"),
        ("[1, 2]", "line 2: expected one JSON object, whose keys are the columns"),
        ("12", "whose keys are the columns"),
        ("[" * 100_000, "whole on its line"),
    ],
)
def test_lines_that_are_no_objects_are_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, '{"text": "a", "label": "b"}\n' + line, "t.jsonl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\ncafé,b\n".encode("latin-1"), "byte 0xe9 on line 2, which is 'é'.*iconv"),
        ("text,label\na,b\n".encode("utf-16"), "UTF-16, ff fe. Convert it: iconv -f UTF-16 "),
        ("text,label\na,b\n".encode("utf-16-le"), "UTF-16LE"),
        ("text,label\na,b\n".encode("utf-16-be"), "UTF-16BE"),
        ("text,label\na,b\n".encode("utf-32"), "UTF-32"),
        (b"text,label\na,\x81\n", "byte 0x81 on line 2, which no character"),
    ],
)
def test_other_encodings_are_named_with_the_way_out(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, content, "t.csv")


def test_names_of_tables() -> None:
    assert [is_table(x) for x in ("a.CSV", "b/c.tsv", "d.ndjson", "e.txt", "f")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_keys_that_differ_from_line_to_line_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten lines, the last of which brings a tenth key: 100 cells.
    lines = [json.dumps({"text": "a", f"key {n}": "b"}) for n in range(9)]
    content = "\n".join([*lines, json.dumps({"text": "c"})])
    monkeypatch.setattr("tfxfer.data.cells._MOST_CELLS", 100)
    assert len(read(tmp_path, content, "table.jsonl").names) == 10
    monkeypatch.setattr("tfxfer.data.cells._MOST_CELLS", 89)
    with pytest.raises(
        DataError, match=r"line 9: expected the same keys .* Received: 10 different"
    ):
        read(tmp_path, content, "table.jsonl")
