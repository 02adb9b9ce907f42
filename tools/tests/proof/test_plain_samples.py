"""Folders of photos without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.proof.plain_samples import is_plain, list_plain, read_plain

MODALITY = ImageModality()


def put(folder: Path, *names: str) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(folder / name)
    return folder


def test_photos_side_by_side_are_plain(tmp_path: Path) -> None:
    assert is_plain(put(tmp_path, "a.png", "b.png"), MODALITY)


def test_class_folders_are_not(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "dog/b.png")
    assert not is_plain(tmp_path, MODALITY)
    assert not is_plain(tmp_path, MODALITY, ("cat", "cow"))


def test_folders_of_days_are_plain_to_a_model_of_animals(tmp_path: Path) -> None:
    put(tmp_path, "monday/a.png", "tuesday/b.png")
    assert is_plain(tmp_path, MODALITY, ("cat", "dog"))


def test_split_folders_and_tables_are_not(tmp_path: Path) -> None:
    put(tmp_path / "data", "train/cat/a.png", "val/cat/b.png")
    assert not is_plain(tmp_path / "data", MODALITY, ("cat", "dog"))
    table = tmp_path / "table.csv"
    table.write_text("path,label\na.png,cat\n")
    assert not is_plain(table, MODALITY, ("cat", "dog"))


def read(folder: Path, samples: int) -> tuple[str, ...]:
    found = read_plain(
        list_plain(folder, MODALITY),
        MODALITY,
        size=16,
        contract=Preprocessing(),
        samples=samples,
    )
    assert found.read_views([0]).shape == (1, 1, 16, 16, 3)
    return found.paths


def test_the_choice_is_spread_over_folders(tmp_path: Path) -> None:
    put(tmp_path, *[f"a/{number}.png" for number in range(20)], "b/1.png", "b/c/2.png")
    paths = read(tmp_path, 6)
    assert len(paths) == 6
    assert {"b/1.png", "b/c/2.png"} < set(paths)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    (tmp_path / "c.png").write_bytes(b"no photo")
    source = list_plain(tmp_path, MODALITY)
    found = read_plain(source, MODALITY, size=16, contract=Preprocessing(), samples=10)
    assert found.paths == ("a.png", "b.png")
    assert [problem.path for problem in found.skipped] == ["c.png"]


def test_nothing_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(b"no photo")
    source = list_plain(tmp_path, MODALITY)
    with pytest.raises(DataError, match=r"none of 1, such as 'c\.png'"):
        read_plain(source, MODALITY, size=16, contract=Preprocessing(), samples=10)


@pytest.mark.parametrize("kind", ["missing", "a file", "empty"])
def test_no_folder_of_photos(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    if kind == "a file":
        place.write_text("text")
    elif kind == "empty":
        place.mkdir()
    with pytest.raises(DataError, match=r"expected a folder of images|expected images in it"):
        list_plain(place, MODALITY)
