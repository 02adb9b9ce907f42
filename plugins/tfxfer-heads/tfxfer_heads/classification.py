"""One label per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.data.targets import encode_class_numbers, read_class_numbers
from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation import ClassFigures, Figures
from tfxfer.head import Monitor, Prediction, Tempering
from tfxfer.outputs import OutputChange, Outputs
from tfxfer.system.spelling import did_you_mean
from tfxfer_heads.dense import DENSE, DROPOUT, DenseHead, add_labels, check_name, check_scores
from tfxfer_heads.foreign import check_probabilities, widen_single

__all__ = ["LABEL_SMOOTHING", "Classification"]

LABEL_SMOOTHING = 0.1
"""Share of the target spread evenly over all classes.

Source:
    Szegedy et al. 2016, section 7, https://arxiv.org/abs/1512.00567; also the default of MediaPipe
    Model Maker (`image_classifier/hyperparameters.py`).
"""


class Classification(DenseHead):
    """Softmax over two or more classes.

    Args:
        dropout: share of features dropped while training.
        label_smoothing: share of each target spread evenly over all classes, 0 up to but not
            including 1. The validation loss is smoothed too; accuracy is not.
    """

    name: ClassVar[str] = "classification"
    figures: ClassVar[type[Figures]] = ClassFigures
    metadata_kind: ClassVar[str] = "classifier"
    monitor: ClassVar[Monitor] = Monitor("val_accuracy", "max", share=True)
    complete_strata: ClassVar[bool] = True
    label_nouns: ClassVar[tuple[str, str]] = ("class", "classes")

    def __init__(
        self, *, dropout: float = DROPOUT, label_smoothing: float = LABEL_SMOOTHING
    ) -> None:
        super().__init__(dropout=dropout)
        self.label_smoothing = float(label_smoothing)
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(
                f"head {self.name!r}: expected label_smoothing from 0 up to but not including 1. "
                f"Received: label_smoothing={label_smoothing!r}."
            )

    def options(self) -> dict[str, Any]:
        """Returns the constructor's keyword arguments."""
        return {"dropout": self.dropout, "label_smoothing": self.label_smoothing}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the distinct labels, sorted as Python sorts text.

        Raises:
            DataError: fewer than two labels, or one that labels.txt cannot hold.
        """
        labels = tuple(sorted({check_name(label, head=self.name) for label in raw}))
        if len(labels) < 2:
            raise DataError(
                f"head {self.name!r}: expected images of at least 2 classes. "
                f"Received: labels={list(labels)!r} from {len(raw)} images. "
                f"Add a folder of images that show something else."
            )
        return labels

    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:
        """Looks for labels that are none of the model's.

        Raises:
            DataError: there are some.
        """
        unknown = sorted(set(raw) - set(labels))
        if unknown:
            raise DataError(
                f"head {self.name!r}: expected the labels of the model, "
                f"{', '.join(map(repr, labels[:10]))}. "
                f"Received: {', '.join(map(repr, unknown[:10]))}."
                f"{did_you_mean(unknown[0], labels)} Rename them, or leave them out."
            )

    def extend_labels(self, labels: Sequence[str], raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the classes of a model, and after them those that are new to it, sorted.

        Raises:
            DataError: a class that the model has in another spelling, or that labels.txt cannot
                hold.
        """
        found = {check_name(label, head=self.name) for label in raw}
        return add_labels(labels, found, head=self.name)

    def strata(self, raw: Sequence[str]) -> list[str]:
        """Returns the labels: each class is a stratum."""
        return list(raw)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns one-hot targets.

        Shapes: float32 (images, classes).

        Raises:
            DataError: a label that is not one of `labels`.
        """
        index = {label: i for i, label in enumerate(labels)}
        targets = np.zeros((len(raw), len(labels)), np.float32)
        for row, label in enumerate(raw):
            if label not in index:
                raise DataError(
                    f"head {self.name!r}: expected one of {len(labels)} labels. "
                    f"Received: label={label!r}.{did_you_mean(label, labels)}"
                )
            targets[row, index[label]] = 1
        return targets

    def adapt_targets(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Returns one-hot targets, also of class numbers 0, 1, ….

        Shapes: targets (images,), (images, 1) or (images, classes); returns float32 (images,
            classes).

        Raises:
            DataError: a number that no label stands for.
        """
        numbers = read_class_numbers(targets)
        if numbers is None:
            return super().adapt_targets(targets, labels)
        return encode_class_numbers(numbers, len(labels), where=f"head {self.name!r}")

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns class probabilities.

        Shapes: features (batch, channels); returns float32 (batch, classes).
        """
        import keras

        logits = self.dense(features, labels)
        return keras.layers.Activation("softmax", dtype="float32", name="head_softmax")(logits)

    def loss(self) -> Any:
        """Returns cross-entropy on probabilities, with label smoothing."""
        import keras

        return keras.losses.CategoricalCrossentropy(label_smoothing=self.label_smoothing)

    def metrics(self) -> list[Any]:
        """Returns accuracy."""
        import keras

        return [keras.metrics.CategoricalAccuracy(name="accuracy")]

    def adapt_outputs(self, outputs: Outputs, labels: Sequence[str]) -> OutputChange:
        """Returns what makes probabilities of logits, and two of one.

        Raises:
            ModelError: outputs that are neither.
        """
        if (outputs.count, len(labels)) == (1, 2):
            return widen_single(outputs, labels, head=self.name)
        if outputs.count != len(labels) or outputs.activation == "softmax":
            return OutputChange()
        if outputs.activation == "linear":
            return OutputChange(
                ("softmax",),
                f"model {outputs.source!r} ends without an activation: a softmax was added, so "
                "that its outputs are probabilities",
            )
        check_probabilities(outputs, head=self.name, add="Softmax()", share=True)
        return OutputChange()

    def tempering(self) -> Tempering:
        """Returns that the dense layer's outputs are the logits of a softmax.

        The largest stays the largest, whatever they are divided by.
        """
        return Tempering(DENSE, "softmax")

    def linear_end(self) -> str | None:
        """Returns the dense layer, which stands between the pooled features and a softmax."""
        return DENSE

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns the class with the highest score of each row; the first of equals.

        Shapes: scores (images, classes).
        """
        array = check_scores(scores, labels, head=self.name)
        return [
            Prediction(
                label=labels[best],
                score=float(row[best]),
                scores=dict(zip(labels, row.tolist(), strict=True)),
            )
            for row, best in zip(array, array.argmax(axis=1), strict=True)
        ]
