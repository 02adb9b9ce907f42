from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer.data.record import Record, Source
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality

Folders = Callable[..., Path]


def read(path: str | Path) -> Source:
    return read_source(path, ImageModality())


def touch(root: Path, *names: str) -> Path:
    """Makes files that are listed and never opened."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def write_table(root: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = root / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.JPG", "a/x/y/1.png", "a/0.webp", "b/3.tif")
    source = read(tmp_path)
    assert source.kind == "folders"
    assert source.root == tmp_path
    assert source.records == (
        Record("a/0.webp", "a"),
        Record("a/x/y/1.png", "a"),
        Record("b/2.JPG", "b"),
        Record("b/3.tif", "b"),
    )


def test_litter_is_passed_over_and_other_files_are_told(tmp_path: Path) -> None:
    touch(
        tmp_path, "a/1.jpg", "a/.DS_Store", "a/Thumbs.db", ".git/x.jpg", "a/.cache/2.jpg",
        "a/notes.txt", "a/3.HEIC", "files.csv", "PROVENANCE.md", "loose.jpg", "empty/.keep",
    )  # fmt: skip
    source = read(tmp_path)
    assert [record.path for record in source.records] == ["a/1.jpg"]
    told = {file.path: file.reason for file in source.ignored}
    assert set(told) == {"a/notes.txt", "a/3.HEIC", "loose.jpg", "empty/"}
    assert "convert it to JPEG" in told["a/3.HEIC"]
    assert told["empty/"] == "a folder without images"


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Val"])
def test_split_folders(tmp_path: Path, word: str) -> None:
    touch(tmp_path, "train/a/1.jpg", f"{word}/a/1.jpg", "test/b/1.jpg", "annotations/x.jpg")
    source = read(tmp_path)
    assert source.kind == "split_folders"
    assert {(r.label, r.split) for r in source.records} == {
        ("a", "train"),
        ("a", "val"),
        ("b", "test"),
    }
    assert [file.path for file in source.ignored] == ["annotations"]


def test_train_alone_is_a_split_and_among_others_a_class(tmp_path: Path) -> None:
    alone = touch(tmp_path / "alone", "train/a/1.jpg", "train/b/1.jpg")
    assert {r.split for r in read(alone).records} == {"train"}
    vehicles = touch(tmp_path / "vehicles", "train/1.jpg", "bus/1.jpg", "car/1.jpg")
    source = read(vehicles)
    assert source.kind == "folders"
    assert {r.label for r in source.records} == {"train", "bus", "car"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["val/a/1.jpg", "test/a/1.jpg"], "at least train"),
        (["train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"], "one folder for val"),
        (["train/1.jpg", "test/1.jpg"], "one folder per class"),
        (["a/notes.txt"], "a/notes.txt, not an image"),
        (["1.jpg", "2.jpg"], "lies outside of every class folder"),
        (["a\nb/1.jpg"], "printable"),
        ([" /1.jpg"], "expected a label"),
        (["x" * 201 + "/1.jpg"], "at most 200"),
    ],
)
def test_folders_that_cannot_be_meant(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(touch(tmp_path, *names))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing at that path"):
        read(tmp_path / "missing")
    with pytest.raises(DataError, match="Received: none"):
        read(tmp_path)
    with pytest.raises(DataError, match="path,label"):
        read(touch(tmp_path, "a/1.jpg") / "a" / "1.jpg")
    with pytest.raises(DataError):
        read("x" * 5000)


def test_links_must_stay_inside(tmp_path: Path) -> None:
    touch(tmp_path, "outside/1.jpg", "data/a/1.jpg")
    (tmp_path / "data/a/twice.jpg").symlink_to(tmp_path / "data/a/1.jpg")
    assert len(read(tmp_path / "data").records) == 2
    (tmp_path / "linked").symlink_to(tmp_path / "data")
    assert len(read(tmp_path / "linked").records) == 2
    link = tmp_path / "data/a/out.jpg"
    link.symlink_to(tmp_path / "outside/1.jpg")
    with pytest.raises(DataError, match=r"a/out\.jpg"):
        read(tmp_path / "data")
    link.unlink()
    (tmp_path / "data/b").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="inside the data folder"):
        read(tmp_path / "data")


def test_linked_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert len(read(tmp_path).records) == 1


def test_names_that_are_no_text(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    try:
        (tmp_path / "a" / "\udcff.jpg").write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    source = read(tmp_path)
    assert len(source.records) == 1
    assert source.ignored[0].reason == "its name is not valid UTF-8"
    source.ignored[0].path.encode()


def test_folder_names_in_either_normal_form_are_one_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/caf\u00e9/1.jpg", "val/cafe\u0301/1.jpg")
    assert {r.label for r in read(tmp_path).records} == {"caf\u00e9"}


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


def test_table_details(tmp_path: Path) -> None:
    touch(tmp_path, "p/a,b.jpg", "p/c.jpg")
    text = 'label,path,width\nx,"p/a,b.jpg",3\ny,p\\c.jpg,4\ny,./p/q/../c.jpg,4\n'
    source = read(write_table(tmp_path, text))
    assert [(r.path, r.label) for r in source.records] == [("p/a,b.jpg", "x"), ("p/c.jpg", "y")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "path,label"),
        ("file,class\na,b\n", "file,class"),
        ("path,label\n", "Received: none"),
        ("path,label,label\n1.jpg,a,b\n", "each column once"),
        ("path,label\n/etc/1.jpg,a\n", "relative to"),
        ("path,label\nC:\\x\\1.jpg,a\n", "relative to"),
        ("path,label\n\\\\host\\share\\1.jpg,a\n", "relative to"),
        ("path,label\n../1.jpg,a\n", "leads out of it"),
        ("path,label\na/../../1.jpg,a\n", "leads out of it"),
        ("path,label\n1.jpg,\n", "line 2: expected a label"),
        ("path,label\n,a\n", "line 2: expected the path"),
        ('path,label\n1.jpg,"a\nb"\n', "printable"),
        ("path,label\n1.jpg,a\x07b\n", "printable"),
        ("path,label\n1.jpg,a\n1.jpg,b\n", "one row per image.*line 2"),
        ("path,label\n1.jpg,a\n./1.jpg,b\n", "one row per image"),
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


def test_linked_rows_must_stay_inside(tmp_path: Path) -> None:
    touch(tmp_path, "outside/1.jpg", "data/1.jpg")
    (tmp_path / "data/link.jpg").symlink_to(tmp_path / "outside/1.jpg")
    with pytest.raises(DataError, match="leads out of it"):
        read(write_table(tmp_path / "data", "path,label\nlink.jpg,a\n"))


def test_the_same_row_twice_is_one_image(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label\n1.jpg,a\n1.jpg,a\n2.jpg,b\n")
    assert len(read(table).records) == 2
