from __future__ import annotations

from pathlib import Path

import pytest

from tfxfer.job.request import TrainRequest


def test_paths_are_good_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photos", "cache", "imagenet"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.h5").touch()
    monkeypatch.chdir(tmp_path)
    asked = TrainRequest("photos", "tiny", weights="mine.h5", cache_dir="cache")
    found = asked.with_absolute_paths()
    assert found.data == str(tmp_path / "photos")
    assert found.weights == str(tmp_path / "mine.h5")
    assert found.cache_dir == str(tmp_path / "cache")
    assert found.with_absolute_paths() == found


def test_names_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("imagenet", "none", "default"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("imagenet", "none", "default"):
        asked = TrainRequest("demo:elpv", "tiny", weights=name)
        assert asked.with_absolute_paths(["imagenet"]) == asked
