"""Features of one look, given the mean and the covariance of another.

The map is linear, so that a linear classifier of aligned features is one dense layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfxfer.errors import DataError

__all__ = ["SHRINKAGE", "Alignment", "align_covariance"]

SHRINKAGE = 0.3
"""Share of a covariance that is replaced by its own mean variance, in every direction alike.

700 images say little of the 820,000 covariances of 1,280 features. A guess: no other was tried.
"""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A linear map that gives features of one look the mean and the covariance of another.

    Args:
        source_mean: taken off.
        target_mean: put in its place.
        matrix: in between.

    Shapes: means (features,), matrix (features, features).
    """

    source_mean: np.ndarray
    target_mean: np.ndarray
    matrix: np.ndarray

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Returns features of the source as if they were of the target.

        Shapes: (samples, features), both.
        """
        moved: np.ndarray = (features - self.source_mean) @ self.matrix + self.target_mean
        return moved


def align_covariance(
    source: np.ndarray, target: np.ndarray, *, shrinkage: float = SHRINKAGE
) -> Alignment:
    """Returns the map that whitens the source and colours it as the target is.

    Args:
        source: features of the labelled look.
        target: features of the other one.
        shrinkage: of both covariances, from 0, which takes them as they are, up to but not
            including 1. Above 0 it also makes few samples of many features possible.

    Shapes: (samples, features), each.

    Raises:
        DataError: fewer than two samples, other shapes, or a covariance without an inverse.

    Source:
        Sun, Feng and Saenko 2016, algorithm 1, https://arxiv.org/abs/1511.05547, who add the
        identity where this shrinks, as features of networks have no scale of their own. That the
        means are aligned, too, is ours.
    """
    _check(source, target)
    first, second = (_shrink(np.cov(x, rowvar=False), shrinkage) for x in (source, target))
    values, vectors = np.linalg.eigh(first)
    if values[0] <= len(values) * np.finfo(np.float64).eps * values[-1]:
        raise DataError(
            "alignment: expected source features whose covariance has an inverse. Received: "
            f"{len(source):,} samples of {source.shape[1]:,} features, shrinkage={shrinkage:g}. "
            "Take a shrinkage above 0."
        )
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    values, vectors = np.linalg.eigh(second)
    colour = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return Alignment(source.mean(axis=0), target.mean(axis=0), whiten @ colour)


def _shrink(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    covariance = np.atleast_2d(covariance)
    size = len(covariance)
    mean = np.trace(covariance) / size
    shrunk: np.ndarray = (1 - shrinkage) * covariance + shrinkage * mean * np.eye(size)
    return shrunk


def _check(source: np.ndarray, target: np.ndarray) -> None:
    shapes = source.shape, target.shape
    fits = source.ndim == target.ndim == 2 and source.shape[1] == target.shape[1]
    if not fits or min(len(source), len(target)) < 2:
        raise DataError(
            "adaptation: expected two samples or more of each look, (samples, features), of as "
            f"many features. Received: shapes {shapes[0]} and {shapes[1]}."
        )
