"""Heads that need no plugin: all that loading asks of a head, and nothing that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tfxfer.data.split import merge_rare, stratify_values
from tfxfer.errors import DataError
from tfxfer.evaluation import ClassFigures, MultilabelFigures, ValueFigures
from tfxfer.head import Head, Monitor


class Untrained(Head):
    """What no test of data reaches."""

    metadata_kind = "nothing"
    monitor = Monitor("val_loss", "min")

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


class Words(Untrained):
    """Multi-hot words between bars; rare combinations are one stratum."""

    name = "words"
    figures = MultilabelFigures

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        names = {word for text in raw for word in text.split("|")}
        if len(names) < 2:
            raise DataError("labels: expected two or more.")
        return tuple(sorted(names))

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        hot = [[float(name in text.split("|")) for name in labels] for text in raw]
        return np.array(hot, np.float32)

    def strata(self, raw: Sequence[str]) -> list[str]:
        return merge_rare(raw)


class Classes(Words):
    """One-hot classes, each of them a stratum that every part must have."""

    name = "classes"
    figures = ClassFigures
    complete_strata = True

    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:
        unknown = sorted(set(raw) - set(labels))
        if unknown:
            raise DataError(f"labels: expected others. Received: {', '.join(map(repr, unknown))}.")

    def strata(self, raw: Sequence[str]) -> list[str]:
        return list(raw)


class Numbers(Untrained):
    """One number each, split so that all parts span the same range."""

    name = "numbers"
    figures = ValueFigures
    can_balance = False

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        return ("value",)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return np.array([[float(text)] for text in raw], np.float32)

    def strata(self, raw: Sequence[str]) -> list[str]:
        return [str(number) for number in stratify_values(np.array(raw, np.float64))]


@pytest.fixture
def head() -> Head:
    return Classes()


@pytest.fixture
def words_head() -> Head:
    return Words()


@pytest.fixture
def numbers_head() -> Head:
    return Numbers()
