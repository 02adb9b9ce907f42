from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer.data.layout import read_part_name
from tfxfer.data.record import Source
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality

Touch = Callable[..., Path]


def read(path: Path) -> Source:
    return read_source(path, ImageModality())


def paths(*folders: str, classes: tuple[str, ...] = ("ant", "bee")) -> list[str]:
    return [f"{folder}/{name}/1.jpg" for folder in folders for name in classes]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("training_set", ("train", ())),
        ("Test-Set", ("test", ())),
        ("validation_data", ("val", ())),
        ("TrainImages", ("train", ())),
        ("testset", ("test", ())),
        ("Valid", ("val", ())),
        ("asl_alphabet_train", ("train", ("asl", "alphabet"))),
        ("trainer", None),
        ("train_test", None),
        ("contest", None),
        ("set", None),
        ("trained", None),
        ("testimony", None),
    ],
)
def test_names_of_parts(name: str, part: tuple[str, tuple[str, ...]] | None) -> None:
    assert read_part_name(name, ("image", "images")) == part


@pytest.mark.parametrize(
    ("names", "understood"),
    [
        (("training_set", "test_set"), "understood training_set/ as train, test_set/ as test"),
        (
            ("Train", "Valid", "Testing"),
            "understood Train/ as train, Valid/ as val, Testing/ as test",
        ),
        (("train", "validation_data"), "understood train/ as train, validation_data/ as val"),
        (("signs_train", "signs_test"), "understood signs_train/ as train, signs_test/ as test"),
        (("train_images",), "understood train_images/ as train"),
    ],
)
def test_parts_are_known_by_their_names(
    tmp_path: Path, touch: Touch, names: tuple[str, ...], understood: str
) -> None:
    source = read(touch(tmp_path, *paths(*names)))
    assert source.kind == "split_folders"
    assert source.understood == understood
    assert {record.label for record in source.records} == {"ant", "bee"}
    assert all(record.split for record in source.records)


def test_classes_that_speak_of_parts_stay_classes(tmp_path: Path, touch: Touch) -> None:
    source = read(touch(tmp_path, "train station/1.jpg", "test tube/1.jpg", "bus/1.jpg"))
    assert {record.label for record in source.records} == {"train station", "test tube", "bus"}
    assert source.understood == f"understood each folder in {tmp_path.name}/ as a class"


def test_flat_parts_are_not_taken_for_classes(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, *paths("training_set"), "test_set/1.jpg", "test_set/2.jpg")
    with pytest.raises(DataError, match=r"test_set'.*expected one folder per class.*2 images"):
        read(tmp_path)


@pytest.mark.parametrize("names", [("fold_1", "fold_2"), ("day", "night"), ("val_set", "test_set")])
def test_nothing_is_guessed_where_names_say_nothing(
    tmp_path: Path, touch: Touch, names: tuple[str, ...]
) -> None:
    touch(tmp_path, *paths(*names))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert all(repr(word) in message for word in (*names, "ant", "bee"))
    assert "name them train, val and test" in message
    assert "CSV with the columns path,label" in message
    # With photos of its own a folder is a class, whatever lies beside them.
    touch(tmp_path, f"{names[0]}/1.jpg")
    source = read(tmp_path)
    assert {record.label for record in source.records} == set(names)
    # Here only one holds folders alone, and there is nothing to compare it with.
    assert source.notes == ()


def test_two_folders_for_one_part(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, *paths("training_set", "train_data", "test_set"))
    with pytest.raises(DataError, match=r"one folder for train.*'train_data' and 'training_set'"):
        read(tmp_path)


def test_one_level_off_is_told(tmp_path: Path, touch: Touch) -> None:
    source = read(touch(tmp_path, *paths("photos")))
    assert {record.label for record in source.records} == {"photos"}
    (note,) = source.notes
    assert "lie one level deeper" in note
    assert repr(str(tmp_path / "photos")) in note
    alone = read(touch(tmp_path / "other", "photos/1.jpg", "photos/ant/1.jpg"))
    assert alone.notes == ()


def test_photos_deeper_than_their_classes_are_told(tmp_path: Path, touch: Touch) -> None:
    touch(tmp_path, "animals/cat/1.jpg", "plants/rose/1.jpg", "plants/tulip/1.jpg")
    (note,) = read(tmp_path).notes
    assert "'animals/cat'" in note
    assert "the class is the outer folder" in note
    touch(tmp_path, "plants/1.jpg")
    assert read(tmp_path).notes == ()


def test_some_folders_that_hold_the_same_are_told(tmp_path: Path, touch: Touch) -> None:
    source = read(touch(tmp_path, *paths("day", "night"), "noon/1.jpg"))
    (note,) = source.notes
    assert "'day' and 'night' hold folders of the same names, 'ant', 'bee'" in note
