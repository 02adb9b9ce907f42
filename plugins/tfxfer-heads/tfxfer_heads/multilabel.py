"""Any number of labels per sample, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation import Figures, MultilabelFigures
from tfxfer.head import Monitor, Prediction, Tempering
from tfxfer.outputs import OutputChange, Outputs
from tfxfer.system.spelling import did_you_mean
from tfxfer_heads.dense import (
    DENSE,
    DROPOUT,
    DenseHead,
    add_labels,
    check_name,
    check_scores,
    check_unit,
)
from tfxfer_heads.foreign import check_probabilities

__all__ = ["SEPARATOR", "THRESHOLD", "Multilabel"]

SEPARATOR = "|"
"""Between the labels of one image, in a CSV and in a prediction."""

THRESHOLD = 0.5
"""A label is present above this probability.

Source:
    The Bayes decision for a calibrated probability when a miss and a false alarm cost the same
    (Bishop 2006, Pattern Recognition and Machine Learning, section 1.5.1); the default of
    `keras.metrics.BinaryAccuracy`.
"""


class Multilabel(DenseHead):
    """One sigmoid per label.

    The best epoch is the one with the lowest validation loss. The area under the ROC curve would
    be the other choice, but on a small validation set it reaches 1.0 and then cannot tell epochs
    apart, and Keras counts a label without positives in the split as 0.

    Args:
        dropout: share of features dropped while training.
        threshold: a label is present above this probability.
    """

    name: ClassVar[str] = "multilabel"
    figures: ClassVar[type[Figures]] = MultilabelFigures
    metadata_kind: ClassVar[str] = "multilabel_classifier"
    monitor: ClassVar[Monitor] = Monitor("val_loss", "min")
    example_labels: ClassVar[tuple[str, ...]] = ("ant|bee", "", "bee", "cat")
    bad_labels: ClassVar[tuple[tuple[str, ...], ...]] = (("", ""),)

    def __init__(self, *, dropout: float = DROPOUT, threshold: float = THRESHOLD) -> None:
        super().__init__(dropout=dropout)
        self.threshold = check_unit(threshold, name="threshold", head=self.name)

    def options(self) -> dict[str, Any]:
        """Returns the constructor's keyword arguments."""
        return {"dropout": self.dropout, "threshold": self.threshold}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the distinct labels, sorted as Python sorts text.

        Args:
            raw: labels joined by `|`, such as `ants|bees`; empty where an image has none.

        Raises:
            DataError: no label at all, one label that every image carries, an empty part as in
                `ants||bees`, or a label that labels.txt cannot hold.
        """
        sets = [self._split(text) for text in raw]
        labels = tuple(sorted(set().union(*sets)))
        if not labels or (len(labels) == 1 and all(sets)):
            raise DataError(
                f"head {self.name!r}: expected at least 2 labels, or one that some images lack. "
                f"Received: labels={list(labels)!r} from {len(raw)} images. "
                f"Join the labels of an image with {SEPARATOR!r}; leave the cell empty for none."
            )
        return labels

    def read_label(self, raw: str) -> tuple[str, ...]:
        """Returns the labels, sorted: their order says nothing, and an image may have none.

        Raises:
            DataError: an empty part as in `ants||bees`, or a label that labels.txt cannot hold.
        """
        return tuple(sorted(self._split(raw)))

    def extend_labels(self, labels: Sequence[str], raw: Sequence[str]) -> tuple[str, ...]:
        """Returns the labels of a model, and after them those that are new to it, sorted.

        A sample that lacks a label says that it is not there: photos of a new label that also show
        an earlier one have to carry both.

        Raises:
            DataError: a label that the model has in another spelling, or that labels.txt cannot
                hold.
        """
        found = set().union(*(self._split(text) for text in raw))
        return add_labels(labels, found, head=self.name)

    def strata(self, raw: Sequence[str]) -> list[str]:
        """Returns each combination of labels; the rare ones are one stratum together."""
        # Here and not above: the package of `split` brings all that reads data.
        from tfxfer.data.split import merge_rare

        return merge_rare([SEPARATOR.join(self.read_label(text)) for text in raw])

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Returns None: one label says nothing of another, even where each image has a single."""
        return None

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """Returns multi-hot targets.

        Shapes: float32 (images, labels).

        Raises:
            DataError: a label that is not one of `labels`.
        """
        index = {label: i for i, label in enumerate(labels)}
        targets = np.zeros((len(raw), len(labels)), np.float32)
        for row, text in enumerate(raw):
            for label in self._split(text):
                if label not in index:
                    raise DataError(
                        f"head {self.name!r}: expected labels among {list(labels)[:10]!r}. "
                        f"Received: label={label!r} in {text!r}.{did_you_mean(label, labels)}"
                    )
                targets[row, index[label]] = 1
        return targets

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns one probability per label.

        Shapes: features (batch, channels); returns float32 (batch, labels).
        """
        import keras

        logits = self.dense(features, labels)
        return keras.layers.Activation("sigmoid", dtype="float32", name="head_sigmoid")(logits)

    def loss(self) -> Any:
        """Returns binary cross-entropy on probabilities."""
        import keras

        return keras.losses.BinaryCrossentropy()

    def metrics(self) -> list[Any]:
        """Returns the accuracy per label, and the mean area under the labels' ROC curves."""
        import keras

        return [
            keras.metrics.BinaryAccuracy(threshold=self.threshold, name="accuracy"),
            keras.metrics.AUC(multi_label=True, name="auc"),
        ]

    def adapt_outputs(self, outputs: Outputs, labels: Sequence[str]) -> OutputChange:
        """Returns what makes probabilities of logits.

        Raises:
            ModelError: outputs that are neither.
        """
        if outputs.count != len(labels) or outputs.activation == "sigmoid":
            return OutputChange()
        if outputs.activation == "linear":
            return OutputChange(
                ("sigmoid",),
                f"model {outputs.source!r} ends without an activation: a sigmoid was added, so "
                "that its outputs are probabilities",
            )
        check_probabilities(outputs, head=self.name, add="Activation('sigmoid')")
        return OutputChange()

    def tempering(self) -> Tempering | None:
        """Returns that the dense layer's outputs are logits, where the threshold is 0.5.

        Divided, a logit keeps its sign, which is the answer at 0.5 and at no other threshold.
        """
        return Tempering(DENSE, "sigmoid") if self.threshold == 0.5 else None

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        """Returns all labels above the threshold, joined by `|`; an empty label is none.

        The score is that of the weakest part of the answer: the lowest chosen probability, or,
        where none is chosen, 1 minus the highest.

        Shapes: scores (images, labels).
        """
        array = check_scores(scores, labels, head=self.name)
        predictions = []
        for row in array:
            chosen = np.flatnonzero(row > self.threshold)
            predictions.append(
                Prediction(
                    label=SEPARATOR.join(labels[i] for i in chosen),
                    score=float(row[chosen].min() if chosen.size else 1 - row.max()),
                    scores=dict(zip(labels, row.tolist(), strict=True)),
                )
            )
        return predictions

    def make_figures(
        self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
    ) -> Figures:
        """Returns the figures at the head's threshold.

        Shapes: targets and scores (images, labels).
        """
        return MultilabelFigures(targets, scores, labels, self.threshold)

    def _split(self, text: str) -> set[str]:
        if not text.strip():
            return set()
        return {check_name(part.strip(" "), head=self.name) for part in text.split(SEPARATOR)}
