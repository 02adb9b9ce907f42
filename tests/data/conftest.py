"""Small folders of real and made images, and a head that needs no plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer.errors import DataError
from tfxfer.head import Head


class FakeHead(Head):
    """One-hot classes, multi-hot words between bars, or numbers."""

    name = "fake"
    metadata_kind = "classifier"

    def __init__(self, task: str = "classification") -> None:
        self.task = task  # type: ignore[misc]

    def options(self) -> dict[str, Any]:
        return {"task": self.task}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        if self.task == "regression":
            return ("value",)
        names = {word for text in raw for word in text.split("|")}
        if len(names) < 2:
            raise DataError("labels: expected two or more.")
        return tuple(sorted(names))

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        if self.task == "regression":
            return np.array([[float(text)] for text in raw], np.float32)
        hot = [[float(name in text.split("|")) for name in labels] for text in raw]
        return np.array(hot, np.float32)

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        raise NotImplementedError

    def loss(self) -> Any:
        raise NotImplementedError

    def metrics(self) -> list[Any]:
        raise NotImplementedError

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError


@pytest.fixture
def head() -> FakeHead:
    return FakeHead()


def paint(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A blotchy picture that is like no other seed's."""
    rng = np.random.default_rng(seed)
    blotches = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    return paint


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that makes a folder of class folders: name=number of images."""

    def make(root: str = "photos", **classes: int) -> Path:
        top = tmp_path / root
        for rank, (name, count) in enumerate(classes.items()):
            (top / name).mkdir(parents=True)
            for number in range(count):
                paint(1000 * rank + number).save(top / name / f"{number:03}.png")
        return top

    return make


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A real photo, 640 x 427."""
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("china.jpg"))
