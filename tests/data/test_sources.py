from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer.data.record import Source
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError
from tfxfer.images.modality import ImageModality

Touch = Callable[..., Path]


def read(path: str | Path) -> Source:
    return read_source(path, ImageModality())


def test_nothing_there(tmp_path: Path, touch: Touch) -> None:
    with pytest.raises(DataError, match="nothing at that path"):
        read(tmp_path / "missing")
    with pytest.raises(DataError, match="Received: none"):
        read(tmp_path)
    with pytest.raises(DataError, match="path,label"):
        read(touch(tmp_path, "a/1.jpg") / "a" / "1.jpg")
    with pytest.raises(DataError):
        read("x" * 5000)
