"""What a split leaves too little of is said before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfxfer import Head, Preprocessing
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.data.sides import describe_small_parts
from tfxfer.registry.lookup import get_modality
from tfxfer_heads import Classification, Multilabel, Regression

Folders = Callable[..., Path]


def split(**counts: int) -> np.ndarray:
    return np.repeat(list(counts), list(counts.values()))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"train": 2, "val": 2, "test": 2}, "6 images in all, 2 val and 2 test among them"),
        ({"train": 90, "val": 10, "test": 9}, "109 images in all, 9 test among them"),
        ({"train": 90, "val": 3, "test": 10}, ": 33 of val."),
    ],
)
def test_parts_too_small_for_a_figure(counts: dict[str, int], words: str) -> None:
    (line,) = describe_small_parts(split(**counts), get_modality("image"))
    assert words in line


def test_parts_that_are_large_enough_are_not_spoken_of() -> None:
    assert describe_small_parts(split(train=50, val=10, test=10), get_modality("image")) == ()


def load(root: Path, head: Head, rows: list[str]) -> SampleData:
    table = root / "table.csv"
    table.write_text("path,label,split\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return load_samples(
        table,
        modality=get_modality("image"),
        head=head,
        size=32,
        contract=Preprocessing(),
        near_duplicates=False,
    )


def list_one_sided(data: SampleData) -> dict[str, str]:
    return {p.path: p.detail for p in data.audit.problems if p.kind == "one_sided_class"}


def test_a_label_among_several_that_no_test_sample_has(folders: Folders) -> None:
    root = folders(a=12)
    parts = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    labels = ["ant|bee"] * 3 + ["bee"] * 3 + ["ant|bee", "ant", "bee"] + ["bee"] * 3
    names = [f"a/{number:03}.png" for number in range(12)]
    rows = [",".join(row) for row in zip(names, labels, parts, strict=True)]
    found = list_one_sided(load(root, Multilabel(), rows))
    assert set(found) == {"ant"}
    assert found["ant"].startswith("its 5 images lie in train and val alone: no figure of test")
    # The control: with one more ant in test, nothing is said.
    rows[-1] = rows[-1].replace(",bee,", ",ant,")
    assert list_one_sided(load(root, Multilabel(), rows)) == {}


def test_a_class_that_the_given_parts_lack(folders: Folders) -> None:
    root = folders(a=9, b=9)
    parts = ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    rows = [f"{x}/{n:03}.png,{x},{part}" for x in "ab" for n, part in enumerate(parts)]
    assert list_one_sided(load(root, Classification(), rows)) == {}
    rows = [row.replace("b,val", "b,train") for row in rows]
    found = list_one_sided(load(root, Classification(), rows))
    assert set(found) == {"b"}
    assert "no figure of val says" in found["b"]


def test_numbers_are_no_labels(folders: Folders) -> None:
    root = folders(a=12)
    rows = [f"a/{n:03}.png,{n % 2},{'train' if n < 8 else 'val'}" for n in range(12)]
    assert list_one_sided(load(root, Regression(), rows)) == {}
