"""Soft labels with given class shares, by Sinkhorn's iterations."""

from __future__ import annotations

import numpy as np

from tfxfer.errors import DataError

__all__ = ["balance_labels"]

_ROUNDS = 100
_TOLERANCE = 1e-6
_TINY = 1e-30  # a probability of 0 cannot be scaled, and stays next to nothing


def balance_labels(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns the labels closest to a classifier's answers of which classes have given shares.

    Each sample's labels sum to 1, and each class's mean is its share. Closest is meant in
    relative entropy: every column is multiplied by one number, and every row.

    Args:
        probabilities: of the classifier.
        shares: of the classes; they sum to 1.

    Shapes: probabilities (samples, classes), shares (classes,); returns (samples, classes).

    Raises:
        DataError: shares that are none, or of other classes.

    Example:
        >>> answers = np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> balance_labels(answers, np.array([0.5, 0.5])).round(3).tolist()
        [[0.71, 0.29], [0.29, 0.71]]

    Source:
        Sinkhorn and Knopp 1967; Cuturi 2013, https://arxiv.org/abs/1306.0895, for the optimal
        transport that it solves; Asano et al. 2020, https://arxiv.org/abs/1911.05371, for labels.
    """
    wanted = np.asarray(shares, np.float64)
    fits = wanted.shape == probabilities.shape[1:] and (wanted >= 0).all()
    if not fits or not np.isclose(wanted.sum(), 1):
        raise DataError(
            f"labels: expected a share of each of {probabilities.shape[-1]} classes, 1 in all. "
            f"Received: shares={wanted.round(4).tolist()}."
        )
    labels = np.maximum(np.asarray(probabilities, np.float64), _TINY)
    for _ in range(_ROUNDS):
        labels = labels * (wanted / labels.mean(axis=0))
        labels /= labels.sum(axis=1, keepdims=True)
        if np.abs(labels.mean(axis=0) - wanted).max() < _TOLERANCE:
            break
    return labels
