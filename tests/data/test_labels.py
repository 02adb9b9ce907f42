from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfxfer.data.labels import read_labels
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.head import Head
from tfxfer.images.modality import ImageModality
from tfxfer_heads import Classification, Multilabel, Regression

IMAGES = ImageModality()


def read(tmp_path: Path, head: Head, *rows: str) -> Any:
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["path,label", *rows]))
    return read_labels(read_source(table, IMAGES), head, IMAGES)


def test_what_is_no_class_may_be_no_tag(tmp_path: Path) -> None:
    rows = ("1.jpg,ant", "2.jpg,")
    with pytest.raises(DataError, match=r"image '2\.jpg': expected a label. Received: nothing"):
        read(tmp_path, Classification(), *rows)
    assert read(tmp_path, Multilabel(), *rows) == {"ant": ("ant",), "": ()}


def test_a_list_may_be_long_and_a_name_may_not(tmp_path: Path) -> None:
    names = [f"a rather long tag number {number:02}" for number in range(30)]
    tags = "|".join(reversed(names))
    assert read(tmp_path, Multilabel(), f"1.jpg,{tags}") == {tags: tuple(names)}
    for head in (Classification(), Multilabel()):
        with pytest.raises(DataError, match=r"image '1\.jpg': expected a label of at most 200"):
            read(tmp_path, head, f"1.jpg,{'x' * 201}")


@pytest.mark.parametrize(
    ("head", "first", "other"),
    [(Multilabel(), "a|b", "b|a"), (Multilabel(), "a| b", "a|b"), (Regression(), "2", "2.0")],
)
def test_rows_that_say_the_same(tmp_path: Path, head: Head, first: str, other: str) -> None:
    assert read(tmp_path, head, f"1.jpg,{first}", f"1.jpg,{other}")
    with pytest.raises(DataError, match="line 3: expected one row per image"):
        read(tmp_path, Classification(), f"1.jpg,{first}", f"1.jpg,{other}")


def test_rows_that_do_not(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)expected one row per image.*on line 2"):
        read(tmp_path, Multilabel(), "1.jpg,a|b", "1.jpg,a")
    with pytest.raises(DataError, match="expected one row per image"):
        read(tmp_path, Regression(), "1.jpg,2", "1.jpg,2.5")


def test_a_head_says_what_is_wrong_with_a_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image '1\.jpg': head 'regression': .*label='much'"):
        read(tmp_path, Regression(), "1.jpg,much")


@pytest.mark.parametrize(
    ("head", "raw", "words"),
    [
        (Classification(), ["b", "a", "b"], "2 classes: a 1, b 2"),
        (Multilabel(), ["b|a", "", "b"], "2 labels: a 1, b 2; 1 without any"),
        (Regression(), ["2", "0.5", "7"], "3 labels: numbers from 0.5 to 7"),
        (Regression(), ["2|1", "0|8"], "2 labels: numbers from 0 to 2 and from 1 to 8"),
    ],
)
def test_labels_in_words(head: Head, raw: list[str], words: str) -> None:
    assert head.describe_labels(raw) == words


def test_many_classes_are_cut_short() -> None:
    raw = [f"c{number:02}" for number in range(50) for _ in range(number + 1)]
    words = Classification().describe_labels(raw)
    assert words.startswith("50 classes: c49 50, c48 49, ")
    assert words.endswith(", c40 41, and 40 more down to c00 1")
