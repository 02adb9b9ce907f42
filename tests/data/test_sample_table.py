from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer.data.columns import Columns
from tfxfer.data.record import Record, Source
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality

Touch = Callable[..., Path]


def read(path: str | Path) -> Source:
    return read_source(path, ImageModality())


def write_table(root: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = root / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    rows = [
        "Path,Label ,split,group",
        "p/2.jpg,größe,val,m1",
        "p/1.jpg,b,,",
        "",
        "p/3.jpg,b,Train,m1",
    ]
    text = end.join(rows).replace(",", delimiter)
    source = read(write_table(tmp_path, text, encoding=encoding))
    assert source.kind == "csv"
    assert source.records == (
        Record("p/1.jpg", "b", None, None),
        Record("p/2.jpg", "größe", "val", "m1"),
        Record("p/3.jpg", "b", "train", "m1"),
    )


def test_table_details(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "p/a,b.jpg", "p/c.jpg")
    text = 'label,path,width\nx,"p/a,b.jpg",3\ny,p\\c.jpg,4\ny,./p/q/../c.jpg,4\n'
    source = read(write_table(tmp_path, text))
    assert [(r.path, r.label) for r in source.records] == [("p/a,b.jpg", "x"), ("p/c.jpg", "y")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "path,label"),
        ("file,class\na,b\n", "'file', 'class', and no 'path' and no 'label'"),
        ("path,label\n", "Received: none"),
        ("path,label,label\n1.jpg,a,b\n", "each column once"),
        ("path,label\n/etc/1.jpg,a\n", "relative to"),
        ("path,label\nC:\\x\\1.jpg,a\n", "relative to"),
        ("path,label\n\\\\host\\share\\1.jpg,a\n", "relative to"),
        ("path,label\n../1.jpg,a\n", "leads out of it"),
        ("path,label\na/../../1.jpg,a\n", "leads out of it"),
        ("path,label\n,a\n", "line 2: expected the path"),
        ('path,label\n1.jpg,"a\nb"\n', "printable"),
        ("path,label,split\n1.jpg,a,train\n1.jpg,a,test\n", "one row per image"),
        ("path,label,split\n1.jpg,a,holdout\n", "split='holdout'"),
        ("path,label\n1.jpg,a,b\n", "line 2: expected 2 cells"),
        ("path,label\n1.jpg\n", "line 2: expected 2 cells"),
        ('path,label\n"1.jpg,a\n', "expected a CSV"),
        ("path,label\n1\0.jpg,a\n", "expected"),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=f"(?s){words}"):
        read(write_table(tmp_path, text))


def test_tables_in_other_encodings(tmp_path: Path) -> None:
    for encoding in ("utf-16", "latin-1"):
        path = write_table(tmp_path, "path,label\n1.jpg,größe\n", encoding=encoding)
        with pytest.raises(DataError, match="UTF-8"):
            read(path)


def test_linked_rows_must_stay_inside(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "outside/1.jpg", "data/1.jpg")
    (tmp_path / "data/link.jpg").symlink_to(tmp_path / "outside/1.jpg")
    with pytest.raises(DataError, match="leads out of it"):
        read(write_table(tmp_path / "data", "path,label\nlink.jpg,a\n"))


def test_the_same_row_twice_is_one_image(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label\n1.jpg,a\n1.jpg,a\n2.jpg,b\n")
    assert len(read(table).records) == 2


def test_labels_are_not_judged_before_a_head_is_known(tmp_path: Path) -> None:
    tags = "|".join(f"a rather long tag number {number:02}" for number in range(30))
    rows = ["1.jpg,", f"2.jpg,{tags}", "3.jpg,a|b", "./3.jpg,b|a", "4.jpg,a\x07b"]
    source = read(write_table(tmp_path, "\n".join(["path,label", *rows])))
    labels = {record.path: record.label for record in source.records}
    assert labels == {"1.jpg": "", "2.jpg": tags, "3.jpg": "a|b", "4.jpg": r"a\x07b"}
    (dispute,) = source.disputes
    assert (dispute.path, dispute.labels) == ("3.jpg", ("a|b", "b|a"))
    assert "line 5: expected one row per image" in dispute.message
    assert "on line 4" in dispute.message


class Texts(ImageModality):
    """Samples that lie in the table itself; all else of them is of no matter here."""

    name = noun = "text"
    plural = "texts"
    suffixes = frozenset()
    column = "text"


def test_the_cells_may_be_the_samples(tmp_path: Path) -> None:
    text = 'label,Text,group\ngood,"one, two",g\nbad,,\ngood,"one, two",g\n'
    source = read_source(write_table(tmp_path, text), Texts())
    assert source.records == (
        Record("labels.csv:2", "good", None, "g", "one, two"),
        Record("labels.csv:3", "bad", None, None, ""),
        Record("labels.csv:4", "good", None, "g", "one, two"),
    )
    located = source.records[0].locate(tmp_path)
    assert (located.path, located.content) == (None, "one, two")
    with pytest.raises(DataError, match=r"the columns text,label\[,split\]\[,group\]"):
        read_source(write_table(tmp_path, "path,label\n1.jpg,a\n"), Texts())
    with pytest.raises(DataError, match="expected texts in class folders"):
        read_source(write_table(tmp_path, "text,label\n"), Texts())


class Notes(Texts):
    """Samples that are cells of a table, or files with an ending."""

    suffixes = frozenset({".txt"})


def test_a_kind_of_cells_and_files_is_read_from_tables_and_folders(
    tmp_path: Path, touch: Touch
) -> None:
    touch(tmp_path, "data/ham/1.txt", "data/spam/2.txt", "data/spam/3.csv")
    folder = read_source(tmp_path / "data", Notes())
    assert [(r.path, r.label, r.content) for r in folder.records] == [
        ("ham/1.txt", "ham", None),
        ("spam/2.txt", "spam", None),
    ]
    assert folder.records[0].locate(folder.root).path == folder.root / "ham/1.txt"
    table = write_table(tmp_path / "data", "path,label\nham/1.txt,ham\n")
    assert read_source(table, Notes()).records == (Record("ham/1.txt", "ham"),)
    table = write_table(tmp_path / "data", "path,text,label\nham/1.txt,hello,ham\n")
    (record,) = read_source(table, Notes()).records
    assert (record.path, record.content) == ("labels.csv:2", "hello")


def test_columns_may_have_any_names(tmp_path: Path) -> None:
    table = write_table(tmp_path, "kind,Message,label\nham,hello,3\n")
    source = read_source(table, Notes(), Columns("message", "kind"))
    assert source.records == (Record("labels.csv:2", "ham", content="hello"),)
    assert source.understood.endswith("1 rows: texts in 'Message', labels in 'kind'")
    with pytest.raises(DataError, match="Did you mean 'Message'"):
        read_source(table, Notes(), Columns("mesage", "kind"))
    table = write_table(tmp_path, "file;kind\n1.jpg;a\n")
    source = read_source(table, ImageModality(), Columns("file", "kind"))
    assert source.records == (Record("1.jpg", "a"),)


def test_json_lines_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a", "label": true, "site": "x"}\n{"text": "", "label": 1}\n')
    source = read_source(path, Notes())
    assert source.records == (
        Record("t.jsonl:1", "true", content="a", slices=(("site", "x"),)),
        Record("t.jsonl:2", "1", content="", slices=(("site", ""),)),
    )
    for line, words in (
        ('{"text": "a", "label": ["x", "y"]}', "line 1: expected text.*'label'.*a list"),
        ('{"text": "a", "label": "x"}\n{"label": "y"}', "line 2: expected.*'text'.*no such key"),
        ('{"label": "x"}', "and no 'text'"),
    ):
        path.write_text(line)
        with pytest.raises(DataError, match=words):
            read_source(path, Notes())


def test_a_character_that_no_line_has_stays_in_its_cell(tmp_path: Path) -> None:
    (record,) = read_source(write_table(tmp_path, "text,label\na\0b,x\n"), Notes()).records
    assert record.content == "a\0b"
