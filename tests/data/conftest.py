"""Small folders of real and made images, and a head that needs no plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

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
