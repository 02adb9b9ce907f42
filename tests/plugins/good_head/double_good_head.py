"""A head as it should be, with one option that has a default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer import DataError, Head, Monitor, Prediction, Tempering
from tfxfer.evaluation import ClassFigures


class Softmax(Head):
    """One label per image.

    Args:
        smoothing: label smoothing of the loss. 0 unless asked: a double needs no help.
    """

    name = "double_softmax"
    figures = ClassFigures
    complete_strata = True
    metadata_kind = "classifier"
    monitor = Monitor("val_accuracy", "max")

    def __init__(self, *, smoothing: float = 0.0) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError("smoothing must lie in 0..1")
        self.smoothing = smoothing

    def options(self) -> dict[str, Any]:
        return {"smoothing": self.smoothing}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        labels = tuple(sorted(set(raw)))
        if len(labels) < 2:
            raise DataError(f"head {self.name!r}: expected two classes. Received: labels={labels}.")
        return labels

    def extend_labels(self, labels: Sequence[str], raw: Sequence[str]) -> tuple[str, ...]:
        return (*labels, *sorted(set(raw) - set(labels)))

    def label_layers(self) -> tuple[str, ...]:
        return ("logits",)

    def strata(self, raw: Sequence[str]) -> list[str]:
        return list(raw)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return np.eye(len(labels), dtype=np.float32)[[list(labels).index(label) for label in raw]]

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import layers

        logits = layers.Dense(len(labels), name="logits")(features)
        return layers.Activation("softmax", dtype="float32", name="scores")(logits)

    def loss(self) -> Any:
        from keras import losses

        return losses.CategoricalCrossentropy(label_smoothing=self.smoothing)

    def metrics(self) -> list[Any]:
        from keras import metrics

        return [metrics.CategoricalAccuracy(name="accuracy")]

    def tempering(self) -> Tempering | None:
        return Tempering("logits", "softmax")

    def linear_end(self) -> str | None:
        return "logits"

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        return [
            Prediction(
                labels[int(row.argmax())],
                float(row.max()),
                dict(zip(labels, map(float, row), strict=True)),
            )
            for row in scores
        ]
