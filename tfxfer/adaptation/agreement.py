"""How well answers fit a look that has no labels: whether neighbours agree, and not all do.

A classifier that suits a look cuts between its clusters, so that a sample and its nearest ones get
one answer. Answers that are all the same agree as well and say nothing: what counts is the mutual
information between a sample's answer and its neighbours', which is 0 for them.
"""

from __future__ import annotations

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.intervals import percentile, resample
from tfxfer.trust.estimate import Estimate

__all__ = ["NEIGHBOURS", "count_answers", "find_neighbours", "measure_agreement", "measure_gain"]

NEIGHBOURS = 10
"""How many of the nearest samples are asked."""

_RESAMPLES = 400
_CHUNK = 2048  # rows of similarities at a time


def find_neighbours(features: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Returns the nearest other samples of each, by the cosine of their features.

    Args:
        features: of each sample.
        count: how many; fewer where there are fewer others.

    Shapes: features (samples, features); returns int64 (samples, neighbours).

    Raises:
        DataError: a single sample.
    """
    if len(features) < 2:
        raise DataError(
            f"adaptation: expected two samples or more. Received: {len(features)}. Add samples."
        )
    count = min(count, len(features) - 1)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    values = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    found = []
    for start in range(0, len(values), _CHUNK):
        alike = values[start : start + _CHUNK] @ values.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        found.append(np.argpartition(-alike, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


def count_answers(
    answers: np.ndarray,
    neighbours: np.ndarray,
    classes: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Returns how often each answer goes together with each among its neighbours' answers.

    Args:
        answers: of each sample.
        neighbours: of each sample.
        classes: how many there are.
        weights: how often each sample counts; None is once.

    Shapes: answers (samples,), neighbours (samples, neighbours), weights (samples,); returns
        (classes, classes): by the sample's answer, then by its neighbours'.
    """
    times = np.ones(len(answers)) if weights is None else weights
    pairs = answers[:, None] * classes + answers[neighbours]
    counted = np.bincount(
        pairs.ravel(), np.repeat(times, neighbours.shape[1]), minlength=classes**2
    )
    return counted.reshape(classes, classes)


def measure_agreement(pairs: np.ndarray) -> float:
    """Returns the mutual information of answers that go together, in bits.

    Args:
        pairs: how often each answer goes together with each.

    Shapes: (classes, classes).

    Returns:
        From 0, where one says nothing of the other, to the entropy of the answers.

    Source:
        After Saito et al. 2021, https://arxiv.org/abs/2108.10860, who choose between adapted models
        by how dense their neighbourhoods are. That it is of answers, in mutual information, is
        ours: it needs no second look at answers that are all alike.

    Example:
        >>> measure_agreement(np.array([[5, 0], [0, 5]]))
        1.0
        >>> measure_agreement(np.array([[9, 0], [0, 0]]))
        0.0
    """
    joint = pairs / pairs.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / apart[seen])).sum())


def measure_gain(
    before: np.ndarray, after: np.ndarray, neighbours: np.ndarray, *, classes: int, seed: int
) -> Estimate:
    """Returns how much more neighbours agree under some answers than under others, in bits.

    Args:
        before: answers of one model.
        after: answers of the other, of the same samples.
        neighbours: of each sample.
        classes: how many there are.
        seed: of the bootstrap, which draws samples and leaves the neighbours they have.

    Shapes: answers (samples,), neighbours (samples, neighbours).
    """

    def compare(weights: np.ndarray) -> list[float]:
        found = []
        for row in weights:
            first, second = (
                measure_agreement(count_answers(x, neighbours, classes, row))
                for x in (before, after)
            )
            found.append(second - first)
        return found

    (value,) = compare(np.ones((1, len(before))))
    draws = resample(np.zeros(len(before), int), seed=seed, resamples=_RESAMPLES)
    found = np.concatenate([compare(weights) for weights in draws])
    return Estimate.of(percentile(value, found))
