"""Linear classifiers in closed form, fitted to soft labels again and again on the same features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from tfxfer.errors import DataError

__all__ = ["Ridge", "apply_softmax"]


@dataclass(frozen=True, eq=False)
class Ridge:
    """Regularised least squares on some samples, of which only the labels are still open.

    The kernel is linear in the labels, so that it is solved for once, and each fit is a product.
    Fitted to one-hot labels it separates classes as linear discriminant analysis does.

    Args:
        solution: what the labels are multiplied by.

    Shapes: solution (features, samples).

    Source:
        Hastie, Tibshirani and Friedman 2009, section 4.2 and exercise 4.2.
    """

    solution: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, weights: np.ndarray, *, penalty: float) -> Self:
        """Returns the least squares of some features.

        Args:
            features: centred, as no bias is fitted.
            weights: of the samples.
            penalty: on the squared kernel, for features whose squared length is 1 on average.

        Shapes: features (samples, features), weights (samples,).

        Raises:
            DataError: features that are all zero.
        """
        scale = float((features**2).sum(axis=1).mean())
        if scale == 0:
            raise DataError(
                f"adaptation: expected features that differ. Received: {len(features):,} samples "
                "with the same ones. Is every sample the same?"
            )
        weighted = features * weights[:, None]
        system = features.T @ weighted + penalty * scale * np.eye(features.shape[1])
        return cls(np.linalg.solve(system, weighted.T))

    def fit(self, labels: np.ndarray) -> np.ndarray:
        """Returns the kernel for labels, of which each class's even share is taken off.

        Shapes: labels (samples, classes), rows sum to 1; returns (features, classes).
        """
        kernel: np.ndarray = self.solution @ (labels - 1 / labels.shape[1])
        return kernel


def apply_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities.

    Shapes: (samples, classes), both.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found
