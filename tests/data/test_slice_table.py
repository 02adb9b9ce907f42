"""Further columns travel with their samples, and a run gives them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer.data.record import Record, Source
from tfxfer.data.slice_table import (
    add_slices,
    check_columns,
    complete_slices,
    list_slices,
    write_slices,
)
from tfxfer.data.sources import read_source
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError
from tfxfer.images.loading import load_images
from tfxfer.images.modality import ImageModality


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Source:
    return read_source(path, ImageModality())


def make_source(*paths: str) -> Source:
    return Source(Path("photos"), tuple(Record(path, "a") for path in paths), "folders")


def test_further_columns_are_slices(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv",
        ",path,label,Hospital,fingerprint,age,age,Year",
        '0,1.jpg,a,"A, B",0f,3,4,2020',
        "1,2.jpg,b,,0f,5,6,2021\x07",
    )
    records = read(table).records
    assert records[0].slices == (("hospital", "A, B"), ("year", "2020"))
    assert records[1].slices == (("hospital", ""), ("year", r"2021\x07"))


def test_rows_of_one_sample_that_differ_say_nothing_of_it(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv",
        "path,label,box,camera",
        "1.jpg,a,left,x",
        "1.jpg,a,right,x",
        "1.jpg,a,left,x",
        "2.jpg,b,left,y",
    )
    source = read(table)
    assert list_slices(source.records) == {"box": ("", "left"), "camera": ("x", "y")}
    (note,) = source.notes
    assert note.startswith("1 of the images have rows that differ in further columns, box, camera")
    with pytest.raises(DataError, match="one row per image"):
        read(write(table, "path,label,split,box", "1.jpg,a,val,left", "1.jpg,a,test,right"))


def test_slices_reach_the_parts_and_the_run(
    tmp_path: Path, folders: Callable[..., Path], head: Any
) -> None:
    root = folders(a=12, b=12)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    camera = {path: f"camera {number % 3}" for number, path in enumerate(paths)}
    lines = [f"{path},{path[0]},{camera[path]}" for path in paths]
    table = write(root / "t.csv", "path,label,camera", *lines)
    data = load_images(table, head=head, image_size=24)
    for part in (data.train, data.val, data.test):
        assert part.slices == {"camera": tuple(camera[path] for path in part.paths)}
    chosen = data.train.targets[:, 0] == 1
    assert data.train.select(chosen).slices["camera"] == tuple(
        camera[path] for path in data.train.paths if path.startswith("a")
    )
    # What was written before is as it was: whoever reads it strictly still does.
    data.write_split(tmp_path / "split.csv")
    heading = (tmp_path / "split.csv").read_text().partition("\n")[0]
    assert heading == "path,label,split,group,fingerprint"
    assert len(read_split_table(tmp_path / "split.csv")) == 24
    data.write_slices(tmp_path / "slices.csv")
    again = complete_slices(read(root), tmp_path / "slices.csv")
    assert dict(zip(paths, list_slices(again.records)["camera"], strict=True)) == camera
    plain = load_images(root, head=head, image_size=24)
    assert plain.test.slices == {}
    plain.write_slices(tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()
    # Other slices are the same data: a run goes on with it.
    assert plain.fingerprint == data.fingerprint


def test_a_table_beside_a_folder(tmp_path: Path) -> None:
    table = write(tmp_path / "s.csv", "path;camera", "./a/1.jpg;x", "a\\2.jpg;y", "a/9.jpg;z")
    found = add_slices(make_source("a/1.jpg", "a/2.jpg", "a/3.jpg"), table, plural="images")
    assert list_slices(found.records) == {"camera": ("x", "y", "")}
    assert found.notes == ("s.csv says nothing of 1 of 3 images",)
    assert complete_slices(make_source("a/1.jpg"), tmp_path / "gone.csv").records[0].slices == ()
    write_slices(tmp_path / "slices.csv", found.records)
    kept = complete_slices(found, tmp_path / "slices.csv")
    assert kept.records == found.records


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("path",), "one or more others"),
        (("name,camera", "a/1.jpg,x"), "the column path, once"),
        (("path,camera",), "a row per sample"),
        (("path,camera", "a/1.jpg"), "line 2: expected 2 cells"),
        (("path,camera", "a/1.jpg,x", "a/1.jpg,y"), "line 3: expected one row per path"),
        (("path,camera", "b/1.jpg,x"), "Received: none of them, first 'b/1.jpg'"),
        (("path,site", "a/1.jpg,x"), "Received: site"),
    ],
)
def test_tables_that_cannot_be_joined(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    source = Source(Path("p"), (Record("a/1.jpg", "a", slices=(("site", "x"),)),), "folders")
    with pytest.raises(DataError, match=words):
        add_slices(source, write(tmp_path / "s.csv", *lines))


def test_columns_are_named_in_any_case() -> None:
    assert check_columns(["Site", "site"], ["site"], where="--slice") == ("site",)
    with pytest.raises(DataError, match="Did you mean 'hospital'"):
        check_columns(["hospitl"], ["hospital"], where="--slice")
    with pytest.raises(DataError, match="--slices FILE"):
        check_columns(["site"], [], where="--slice")


def test_our_own_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    slices = (("dose;unit;route", "5;mg;oral"),)
    records = (Record(" a\\b.jpg", "x", slices=slices), Record("c.jpg", "y", slices=slices))
    table = tmp_path / "slices.csv"
    write_slices(table, records)
    bare = Source(tmp_path, tuple(Record(x.path, x.label) for x in records), "folders")
    assert complete_slices(bare, table).records == records
