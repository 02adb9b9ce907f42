"""What words of a command line mean: files, tables, lines of stdin, or the samples themselves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tfxfer import get_modality
from tfxfer.data.columns import Columns
from tfxfer.inference.labelling import Labelled, find_samples

DOUBLE = Path(__file__).parents[1] / "plugins" / "good_modality"


@pytest.fixture(scope="module")
def texts() -> Iterator[Any]:
    """A modality whose samples are cells, or files that end in .txt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOUBLE)
        double = import_module("double_good_texts").Texts
        yield type("Texts", (double,), {"suffixes": frozenset({".txt"})})()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_found(found: list[Labelled]) -> list[tuple[str, str | None]]:
    assert not any(item.error for item in found)
    return [(x.name, None if x.sample is None else x.sample.content) for x in found]


def find_error(found: list[Labelled]) -> str:
    (item,) = found
    assert item.sample is None
    return str(item.error)


def test_a_text_stands_for_itself(texts: Any) -> None:
    words = ["win a prize", "really?", "*", "a,b.csv is my table", "x" * 10_000]
    assert list_found(find_samples(words, texts)) == [(word, word) for word in words]


def test_a_file_is_a_text_where_one_is_there(texts: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("one")
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / "more" / "deep" / "b.TXT").write_text("two")
    (folder / "more" / "c.png").write_text("no text")
    assert list_found(find_samples(["a.txt", "more"], texts)) == [
        ("a.txt", None),
        ("more/deep/b.TXT", None),
    ]
    assert "expected a file" in find_error(find_samples(["gone.txt"], texts))
    (folder / "README").write_text("three")
    message = find_error(find_samples(["README"], texts))
    assert "expected a file that ends in .txt, or a text itself" in message
    # A sentence about a file is a sentence.
    assert list_found(find_samples(["see gone.txt"], texts)) == [("see gone.txt",) * 2]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("t.csv", 'text,label\n"win, now",spam\n\n=1+1,ham\n'),
        ("t.tsv", "text\nwin, now\n\n=1+1\n"),
        ("t.jsonl", '{"text": "win, now"}\n\n{"text": "=1+1", "label": "ham"}\n'),
    ],
)
def test_rows_of_a_table_need_no_label(texts: Any, folder: Path, name: str, table: str) -> None:
    (folder / name).write_text(table)
    lines = (1, 3) if name.endswith("l") else (2, 4)
    found = find_samples([name], texts)
    assert list_found(found) == [
        (f"{name}:{lines[0]}", "win, now"),
        (f"{name}:{lines[1]}", "=1+1"),
    ]
    assert found[1].to_dict("text") | {"error": 0} == {
        "text": "=1+1",
        "place": f"{name}:{lines[1]}",
        "error": 0,
    }


def test_columns_have_any_name(texts: Any, folder: Path) -> None:
    (folder / "t.csv").write_text("Message,kind\nhello there,ham\n")
    assert "expected a column 'text' of texts. Received: the columns 'Message', 'kind'" in (
        find_error(find_samples(["t.csv"], texts))
    )
    found = find_samples(["t.csv"], texts, columns=Columns("message"))
    assert list_found(found) == [("t.csv:2", "hello there")]
    # What a run remembers is no more than a first guess.
    remembered = Columns("body", are_remembered=True)
    (folder / "u.csv").write_text("text\nhello\n")
    assert list_found(find_samples(["u.csv"], texts, columns=remembered)) == [("u.csv:2", "hello")]
    assert "'message'" in find_error(find_samples(["u.csv"], texts, columns=Columns("message")))
    (folder / "empty.csv").write_text("text\n")
    assert "Received: no row" in find_error(find_samples(["empty.csv"], texts))
    assert "Received: nothing there" in find_error(find_samples(["gone.csv"], texts))


def test_lines_of_stdin_are_texts_and_never_files(texts: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("one")
    stdin = io.BytesIO("\ufeffa.txt\r\n\nwas it free?\u2028yes\n".encode())
    assert list_found(find_samples(["-"], texts, stdin=stdin)) == [
        ("a.txt", "a.txt"),
        ("", ""),
        ("was it free?\u2028yes", "was it free?\u2028yes"),
    ]
    assert "Received: nothing" in find_error(find_samples(["-"], texts, stdin=io.BytesIO()))
    message = find_error(find_samples(["-"], texts, stdin=io.BytesIO(b"gr\xfcn\n")))
    assert "stdin: expected lines in UTF-8" in message


def test_of_files_the_lines_and_rows_are_names(folder: Path) -> None:
    images = get_modality("image")
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    (folder / "t.csv").write_text("path,label\nb.png,x\na.png,y\n")
    assert list_found(find_samples(["t.csv"], images)) == [("b.png", None), ("a.png", None)]
    found = find_samples(["-"], images, stdin=io.BytesIO(b"*.png\nb.png\n"))
    assert [item.name for item in found] == ["a.png", "b.png", "b.png"]
    assert "Received: nothing" in find_error(find_samples(["gone.png"], images))
