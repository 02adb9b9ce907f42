from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality
from tfxfer.inference.listing import list_samples
from tfxfer.modality import Modality

IMAGES = ImageModality()


def names(given: Any, root: Path, modality: Modality = IMAGES) -> list[str]:
    return [Path(x.name).relative_to(root).as_posix() for x in list_samples(given, modality)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in (
        "b.jpg", "a.PNG", "deep/er/c.jpeg", "notes.txt", ".hidden/d.jpg", "__MACOSX/._b.jpg",
        "odd[1].png",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_folder_is_its_samples_at_any_depth(photos: Path) -> None:
    everything = ["a.PNG", "b.jpg", "deep/er/c.jpeg", "odd[1].png"]
    assert names(photos, photos) == names(str(photos), photos) == everything
    assert names([photos / "deep", photos / "b.jpg"], photos) == ["deep/er/c.jpeg", "b.jpg"]


def test_samples_that_were_found_stay_as_they_are(photos: Path) -> None:
    found = list_samples(photos, IMAGES)
    assert list_samples(found[::-1], IMAGES) == found[::-1]
    with pytest.raises(DataError, match="expected paths"):
        list_samples([found[0], str(photos)], IMAGES)


def test_patterns(photos: Path) -> None:
    assert names(f"{photos}/*.jpg", photos) == ["b.jpg"]
    assert names(f"{photos}/**/*.jp*g", photos) == ["b.jpg", "deep/er/c.jpeg"]
    # A file that is there is meant, whatever its name looks like.
    assert names(photos / "odd[1].png", photos) == ["odd[1].png"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{root}/*.gif", "pattern .*: expected files that match. Received: none"),
        ("{root}/gone.jpg", "expected a file"),
        ("{root}/empty", r"folder .*: expected images in it\. Received: none"),
        ("x" * 5000, "File name too long"),
        (None, "expected paths. Received: None"),
        (b"a.jpg", "expected paths"),
        ([3], "expected paths. Received: 3 among them"),
    ],
)
def test_what_is_not_there_is_told(photos: Path, given: Any, words: str) -> None:
    (photos / "empty").mkdir()
    given = given.format(root=photos) if isinstance(given, str) else given
    with pytest.raises(DataError, match=words):
        list_samples(given, IMAGES)


def test_samples_that_are_no_files_stand_for_themselves(
    install_doubles: Callable[..., None],
) -> None:
    install_doubles("good_modality")
    from double_good_texts import Texts  # type: ignore[import-not-found]

    assert [x.content for x in list_samples("a*b", Texts())] == ["a*b"]
