"""Small folders of real and made images, and heads that need no plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.data.split import merge_rare, stratify_values
from tfxfer.errors import DataError
from tfxfer.head import Head


class FakeHead(Head):
    """What all of them share: labels alone, and no network."""

    name = "fake"
    metadata_kind = "classifier"

    def options(self) -> dict[str, Any]:
        return {}

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        raise NotImplementedError

    def loss(self) -> Any:
        raise NotImplementedError

    def metrics(self) -> list[Any]:
        raise NotImplementedError

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Any]:
        raise NotImplementedError


class FakeWords(FakeHead):
    """Multi-hot words between bars; rare combinations of them are one stratum."""

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        names = {word for text in raw for word in text.split("|")}
        if len(names) < 2:
            raise DataError("labels: expected two or more.")
        return tuple(sorted(names))

    def strata(self, raw: Sequence[str]) -> list[str]:
        return merge_rare(raw)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        hot = [[float(name in text.split("|")) for name in labels] for text in raw]
        return np.array(hot, np.float32)


class FakeClasses(FakeWords):
    """One-hot classes, each a stratum that has to be in every part."""

    complete_strata = True

    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:
        unknown = sorted(set(raw) - set(labels))
        if unknown:
            raise DataError(f"Received: {', '.join(map(repr, unknown))}.")

    def strata(self, raw: Sequence[str]) -> list[str]:
        return list(raw)


class FakeNumbers(FakeHead):
    """One number each, of which all parts span the same range."""

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        return ("value",)

    def strata(self, raw: Sequence[str]) -> list[str]:
        return [str(number) for number in stratify_values(np.array(raw, np.float32))]

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return np.array([[float(text)] for text in raw], np.float32)


@pytest.fixture
def head() -> FakeClasses:
    return FakeClasses()


@pytest.fixture
def word_head() -> FakeWords:
    return FakeWords()


@pytest.fixture
def number_head() -> FakeNumbers:
    return FakeNumbers()


@pytest.fixture(scope="session")
def touch() -> Callable[..., Path]:
    """Returns a function that makes files which are listed and never opened."""

    def make(root: Path, *names: str) -> Path:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        return root

    return make
