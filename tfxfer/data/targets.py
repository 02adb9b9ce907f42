"""Which output stands for which label: class numbers, their one-hot rows, and their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfxfer.errors import DataError

__all__ = ["check_label_order", "encode_class_numbers", "read_class_numbers"]

_SHOWN = 10


def read_class_numbers(targets: np.ndarray) -> np.ndarray | None:
    """Returns targets that are one whole number each as int64 (samples,); None for any others.

    Whole numbers may be floats: `image_dataset_from_directory(label_mode="binary")` makes such.

    Shapes: targets (samples,) or (samples, 1).

    Example:
        >>> read_class_numbers(np.array([[0.0], [2.0]])), read_class_numbers(np.eye(2))
        (array([0, 2]), None)
    """
    column = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
    if column.ndim != 1 or column.dtype.kind not in "biuf":
        return None
    # A NaN is not equal to itself.
    if column.dtype.kind == "f" and not (np.isfinite(column) & (column == np.round(column))).all():
        return None
    return column.astype(np.int64)


def encode_class_numbers(numbers: np.ndarray, classes: int, *, where: str) -> np.ndarray:
    """Returns the one-hot rows of class numbers.

    Args:
        numbers: int64 (samples,).
        classes: how many there are.
        where: what has them, for messages.

    Shapes: returns float32 (samples, classes).

    Raises:
        DataError: a number that is none of 0 … classes - 1.

    Example:
        >>> encode_class_numbers(np.array([1, 0]), 2, where="data")
        array([[0., 1.],
               [1., 0.]], dtype=float32)
    """
    outside = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if outside.size:
        hint = ""
        if numbers.min() == 1 and numbers.max() == classes:
            hint = " They count from 1: subtract 1."
        raise DataError(
            f"{where}: expected class numbers from 0 to {classes - 1}, one for each of {classes} "
            f"labels. Received: {numbers[outside[0]]} for sample {outside[0]}, "
            f"and {len(outside)} of {len(numbers)} outside in all.{hint}"
        )
    rows: np.ndarray = np.eye(classes, dtype=np.float32)[numbers]
    return rows


def check_label_order(received: Sequence[str], expected: Sequence[str], *, where: str) -> None:
    """Refuses data whose targets stand for other labels than a model's outputs.

    Args:
        received: labels of the data, in order.
        expected: of the model.
        where: what has the data, for messages.

    Raises:
        DataError: others, or the same in another order.
    """
    if tuple(received) == tuple(expected):
        return
    how = "other ones" if set(received) != set(expected) else "the same in another order"
    raise DataError(
        f"{where}: expected the model's labels in their order, {_show(expected)}. "
        f"Received: {how}, {_show(received)}. Build the model with labels=data.labels, or load the "
        "data with the model's labels=."
    )


def _show(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(map(repr, labels[:_SHOWN])) + more
