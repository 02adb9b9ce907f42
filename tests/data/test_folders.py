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


def test_class_folders(tmp_path: Path, touch: Touch) -> None:
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


def test_litter_is_passed_over_and_other_files_are_told(tmp_path: Path, touch: Touch) -> None:
    touch(
        tmp_path, "a/1.jpg", "a/.DS_Store", "a/Thumbs.db", ".git/x.jpg", "a/.cache/2.jpg",
        "a/notes.txt", "a/._1.jpg", "files.csv", "PROVENANCE.md", "loose.jpg", "empty/.keep",
        ".idea/workspace.xml",
    )  # fmt: skip
    source = read(tmp_path)
    assert [record.path for record in source.records] == ["a/1.jpg"]
    told = {file.path: file.reason for file in source.ignored}
    assert told == {
        ".git/": "a hidden folder with 1 images: rename it if they are images to learn from",
        "a/.cache/": "a hidden folder with 1 images: rename it if they are images to learn from",
        "a/._1.jpg": "a hidden file",
        "a/notes.txt": "not an image",
        "files.csv": "not an image",
        "PROVENANCE.md": "not an image",
        "loose.jpg": "lies outside of every class folder",
        "empty/": "a folder without images",
    }
    assert source.notes == (
        "1 images lie beside the class folders and have no label: they are not used",
    )


@pytest.mark.parametrize(
    "name",
    ["Thumbs", "lost+found", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "__MACOSX",
     ".ipynb_checkpoints", ".thumbnails", "_gsdata_", "#recycle"],
)  # fmt: skip
def test_system_folders_are_no_classes(tmp_path: Path, touch: Touch, name: str) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg", f"{name}/1.jpg", f"b/{name}/2.jpg")
    source = read(tmp_path)
    assert {record.label for record in source.records} == {"a", "b"}
    assert len(source.records) == 2
    assert [file.path for file in source.ignored] == sorted((f"{name}/", f"b/{name}/"))
    # A name that only resembles one is a class.
    touch(tmp_path, f"{name.strip('.')} 2/1.jpg")
    assert len({record.label for record in read(tmp_path).records}) == 3


def test_photos_of_kinds_that_are_not_read_are_listed(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "a/1.jpg", "a/2.HEIC", "b/3.dng", "b/clip.mp4")
    source = read(tmp_path)
    assert [record.path for record in source.records] == ["a/1.jpg", "a/2.HEIC", "b/3.dng"]
    assert [file.path for file in source.ignored] == ["b/clip.mp4"]


@pytest.mark.parametrize("word", ["val", "valid", "validation", "Val"])
def test_split_folders(tmp_path: Path, touch: Touch, word: str) -> None:
    touch(tmp_path, "train/a/1.jpg", f"{word}/a/1.jpg", "test/b/1.jpg", "annotations/x.jpg")
    source = read(tmp_path)
    assert source.kind == "split_folders"
    assert {(r.label, r.split) for r in source.records} == {
        ("a", "train"),
        ("a", "val"),
        ("b", "test"),
    }
    assert [file.path for file in source.ignored] == ["annotations/"]


def test_train_alone_is_a_split_and_among_others_a_class(tmp_path: Path, touch: Touch) -> None:
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
    ],
)
def test_folders_that_cannot_be_meant(
    tmp_path: Path, touch: Touch, names: list[str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read(touch(tmp_path, *names))


def test_links_must_stay_inside(tmp_path: Path, touch: Touch) -> None:
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


def test_linked_loops_end(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert len(read(tmp_path).records) == 1


def test_names_that_are_no_text(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "a/1.jpg")
    try:
        (tmp_path / "a" / "\udcff.jpg").write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    source = read(tmp_path)
    assert len(source.records) == 1
    assert source.ignored[0].reason == "its name is not valid UTF-8"
    source.ignored[0].path.encode()


def test_folder_names_in_either_normal_form_are_one_class(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "train/caf\u00e9/1.jpg", "val/cafe\u0301/1.jpg")
    assert {r.label for r in read(tmp_path).records} == {"caf\u00e9"}


def test_what_steers_a_terminal_in_a_name_becomes_text(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "\x1b[31mred/1.jpg", "photo\u202egpj/1.jpg", "=1+1/1.jpg", "ja\u200cnam/1.jpg")
    source = read(tmp_path)
    assert {record.label for record in source.records} == {
        r"\x1b[31mred", r"photo\u202egpj", "=1+1", "ja\u200cnam"
    }  # fmt: skip
    # The path is still the file's.
    assert all((source.root / record.path).is_file() for record in source.records)


def read_sources(path: Path, *, is_remembered: bool = False) -> Source:
    columns = Columns(has_sources=True, are_remembered=is_remembered)
    return read_source(path, ImageModality(), columns)


def test_folders_of_sources(tmp_path: Path, touch: Touch) -> None:
    touch(
        tmp_path, "studio/cat/1.jpg", "studio/dog/deep/2.jpg", "street/cat/1.jpg", "loose.jpg",
        "street/beside.jpg",
    )  # fmt: skip
    with pytest.raises(DataError, match="'street', which holds something else"):
        read_sources(tmp_path)
    (tmp_path / "street" / "beside.jpg").unlink()
    source = read_sources(tmp_path)
    assert source.records == (
        Record("street/cat/1.jpg", "cat", slices=(("domain", "street"),)),
        Record("studio/cat/1.jpg", "cat", slices=(("domain", "studio"),)),
        Record("studio/dog/deep/2.jpg", "dog", slices=(("domain", "studio"),)),
    )
    assert "as a source: street, studio" in source.understood
    assert source.notes == (
        "1 images lie beside the class folders and have no label: they are not used",
    )
    # What a run remembers of its own data, and what is said of this, is the same.
    assert read_sources(tmp_path, is_remembered=True).records == source.records


def test_a_source_may_have_parts_and_a_part_no_sources(tmp_path: Path, touch: Touch) -> None:
    touch(
        tmp_path, "a/train/cat/1.jpg", "a/train/dog/2.jpg", "a/test/cat/3.jpg", "a/test/dog/4.jpg",
        "b/cat/5.jpg", "b/dog/6.jpg",
    )  # fmt: skip
    found = {record.path: (record.label, record.split) for record in read_sources(tmp_path).records}
    assert found["a/train/cat/1.jpg"] == ("cat", "train")
    assert found["a/test/dog/4.jpg"] == ("dog", "test")
    assert found["b/cat/5.jpg"] == ("cat", None)
    touch(tmp_path, "train/a/cat/1.jpg")
    with pytest.raises(DataError, match=r"'train', which names a part.*into each source's folder"):
        read_sources(tmp_path)


def test_other_data_of_a_run_of_sources_may_be_class_folders(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    assert read_sources(tmp_path, is_remembered=True).records == read(tmp_path).records
    with pytest.raises(DataError, match="one folder a source"):
        read_sources(tmp_path)


def test_sources_without_the_word_are_told_of_it(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, *(f"{source}/{label}/1.jpg" for source in "ab" for label in ("cat", "dog")))
    with pytest.raises(DataError, match="--domain folders"):
        read(tmp_path)
