"""What the three heads share: dropout and one dense layer, and the checks around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.head import Head

__all__ = [
    "DENSE",
    "DROPOUT",
    "DenseHead",
    "add_labels",
    "check_name",
    "check_scores",
    "check_unit",
]

DROPOUT = 0.2
"""Share of features dropped while training.

Source:
    MediaPipe Model Maker, `ModelOptions.dropout_rate`:
    https://ai.google.dev/edge/mediapipe/solutions/customization/image_classifier; the same rate is
    in EfficientNet-B0 and EfficientNet-Lite0 (Tan and Le 2019, https://arxiv.org/abs/1905.11946).
"""

DENSE = "head_dense"
"""Name of the dense layer."""

KERNEL_INITIALIZER = "zeros"
"""An untrained head says the same of every image, and training starts there.

Features are many and photos few, so what a random start adds is never quite unlearnt: over three
seeds of `flowers5` the best validation accuracy of the head phase is 91.5 % from zeros and 91.2 %
from Glorot's, and it differs between starts by 0.1 and 0.4 points.

Source:
    BiT (Kolesnikov et al. 2020, https://arxiv.org/abs/1912.11370) starts its heads at zero, too.
"""


class DenseHead(Head):
    """Dropout and one dense layer; subclasses add the activation.

    Args:
        dropout: share of features dropped while training, 0 up to but not including 1.
    """

    def __init__(self, *, dropout: float = DROPOUT) -> None:
        self.dropout = float(dropout)
        if not 0 <= self.dropout < 1:
            raise UsageError(
                f"head {self.name!r}: expected dropout from 0 up to but not including 1. "
                f"Received: dropout={dropout!r}."
            )

    def dense(self, features: Any, labels: Sequence[str]) -> Any:
        """Returns one linear output per label, in float32 under every policy.

        The layer is float32, not its activation alone: bfloat16 keeps 8 bits, too few to order the
        logits of two similar classes, and it costs nothing beside the backbone.

        Shapes: features (batch, channels); returns (batch, outputs).
        """
        import keras

        # Dropout at rate 0 stays: the layers' names do not depend on an option.
        x = keras.layers.Dropout(self.dropout, name="head_dropout")(features)
        return keras.layers.Dense(
            len(labels), kernel_initializer=KERNEL_INITIALIZER, dtype="float32", name=DENSE
        )(x)

    def label_layers(self) -> tuple[str, ...]:
        """Returns the dense layer: a column of its kernel and a bias for each label."""
        return (DENSE,)


def add_labels(labels: Sequence[str], found: Iterable[str], *, head: str) -> tuple[str, ...]:
    """Returns the labels of a model, and after them those that are new to it, sorted.

    Raises:
        DataError: a new one differs from another in case or spaces alone.
    """
    new = sorted(set(found) - set(labels))
    known = {"".join(label.split()).casefold(): label for label in labels}
    for label in new:
        twin = known.setdefault("".join(label.split()).casefold(), label)
        if twin != label:
            raise DataError(
                f"head {head!r}: expected new labels that the earlier run does not have. Received: "
                f"label={label!r}, which it has as {twin!r}. Write both alike."
            )
    return (*labels, *new)


def check_name(label: str, *, head: str) -> str:
    """Returns a label that fits on its own line of `labels.txt`.

    Raises:
        DataError: it is empty, blank, or holds a line break.
    """
    if not label.strip() or label.splitlines() != [label]:
        raise DataError(
            f"head {head!r}: expected labels of one line that are not blank, as labels.txt and the "
            f"phone's label file hold one label a line. Received: label={label!r}. "
            f"Rename the folder or correct the CSV."
        )
    return label


def check_scores(scores: np.ndarray, labels: Sequence[str], *, head: str) -> np.ndarray:
    """Returns scores as float64 of the expected shape.

    Shapes: scores (images, outputs), as many outputs as labels.

    Raises:
        ModelError: another shape, or a value that is not finite.
    """
    array = np.asarray(scores, np.float64)
    if array.ndim != 2 or array.shape[1] != len(labels):
        raise ModelError(
            f"head {head!r}: expected scores of shape (images, {len(labels)}), one column per "
            f"label. Received: shape={array.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise ModelError(
            f"head {head!r}: expected finite scores. Received: {bad.size} of {len(array)} rows "
            f"with NaN or infinity, the first is row {bad[0]}. "
            f"The training diverged: lower the learning rate."
        )
    return array


def check_unit(value: float, *, name: str, head: str) -> float:
    """Returns an option that must lie strictly between 0 and 1.

    Raises:
        UsageError: it does not.
    """
    number = float(value)
    if not 0 < number < 1:
        raise UsageError(
            f"head {head!r}: expected {name} between 0 and 1, both excluded. "
            f"Received: {name}={value!r}."
        )
    return number
