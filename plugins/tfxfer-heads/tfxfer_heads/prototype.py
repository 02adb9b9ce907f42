"""One label per sample: that of the class whose mean is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np

from tfxfer.closed_form import ClosedForm
from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.trust.likelihood import Likelihood
from tfxfer_heads.classification import Classification
from tfxfer_heads.dense import DENSE

__all__ = ["Metric", "NearestMean", "Prototype"]

Metric = Literal["cosine", "euclidean"]

_SURENESS = 10.0
"""Logits between two class means, as far apart as means are on average, of single samples a class.

From more samples the scale of the logits is measured; one sample says nothing of its neighbours.
"""

_OFF = 0.02  # of a scale: what int8 weights lose of it stays below a tenth of that


class Prototype(Classification):
    """Softmax over how near the mean of each class is: fitted in one look, without an epoch.

    Both metrics are one dense layer. With a scale s, Euclidean logits are -s/2 times the squared
    distance of features x from a mean μ, which is s μᵀx - s ‖μ‖²/2 up to a number that all classes
    share and a softmax does not see. The cosine of x and μ is ‖x‖ times smaller than μᵀx / ‖μ‖, by
    a number that all classes share again, so that the largest stays the largest: features need no
    normalising in the network, and how sure an answer is is the scale's business, which is measured
    on features as they come.

    Args:
        metric: `cosine`, for which the means are of features of length 1, or `euclidean`.
        dropout: share of features dropped while layers below are fine-tuned.
        label_smoothing: of their loss; see `Classification`.

    Source:
        Snell et al. 2017, https://arxiv.org/abs/1703.05175, section 2.4 for the Euclidean layer.
        Cosine: Gidaris and Komodakis 2018, https://arxiv.org/abs/1804.09458, section 3.1. That the
        scale is the likeliest one for samples that are left out of their own mean is ours.
    """

    name: ClassVar[str] = "prototype"

    def __init__(self, *, metric: str = "cosine", **options: float) -> None:
        super().__init__(**options)
        if metric not in get_args(Metric):
            raise UsageError(
                f"head {self.name!r}: expected metric cosine or euclidean. "
                f"Received: metric={metric!r}."
            )
        self.metric = cast("Metric", metric)

    def options(self) -> dict[str, Any]:
        """Returns the constructor's keyword arguments."""
        return {"metric": self.metric, **super().options()}

    def linear_end(self) -> None:
        """Returns none: a layer that was fitted to anything else would not be of class means."""
        return

    def closed_form(self) -> ClosedForm:
        """Returns that the dense layer follows from the class means."""
        return NearestMean(DENSE, self.metric)


@dataclass(frozen=True)
class NearestMean(ClosedForm):
    """A dense layer whose logits say how near the mean of each class is.

    Args:
        metric: see `Prototype`.
    """

    metric: Metric

    def fit(
        self, features: np.ndarray, targets: np.ndarray, weights: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Returns kernel and bias.

        A class without samples keeps the mean that the weights have of it.

        Raises:
            DataError: a class without both, or means that do not differ.
        """
        values, truth = self._prepare(features), np.asarray(targets) > 0.5
        counts = truth.sum(axis=0)
        means = np.stack([values[mask].sum(axis=0) / max(1, mask.sum()) for mask in truth.T])
        absent = np.flatnonzero(counts == 0)
        if absent.size:
            means[absent] = self._recall(weights, absent)
        scale = self._find_scale(values, np.asarray(features, np.float64), truth, means)
        return self._make_layer(means, scale)

    def add_label(self, weights: Sequence[np.ndarray], features: np.ndarray) -> list[np.ndarray]:
        """Returns kernel and bias with a column and a number more."""
        if not len(features):
            raise DataError("head 'prototype': expected samples of the new class. Received: none.")
        kernel, bias = (np.asarray(x, np.float64) for x in weights)
        scale = self._read_scale(kernel, bias)
        mean = self._prepare(features).mean(axis=0)
        more_kernel, more_bias = self._make_layer(mean[None], scale)
        return [
            np.concatenate([kernel, more_kernel], axis=1),
            np.concatenate([bias, more_bias]),
        ]

    def _prepare(self, features: np.ndarray) -> np.ndarray:
        values = np.asarray(features, np.float64)
        if self.metric == "euclidean":
            return values
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        return values / np.where(lengths > 0, lengths, 1)

    def _make_layer(self, means: np.ndarray, scale: float) -> list[np.ndarray]:
        if self.metric == "euclidean":
            return [scale * means.T, -0.5 * scale * np.square(means).sum(axis=1)]
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        if not lengths.all():
            raise DataError(
                "head 'prototype': expected features that have a direction. Received: none but "
                "zeros of some class. Take metric=euclidean."
            )
        return [scale * (means / lengths).T, np.zeros(len(means))]

    def _find_scale(
        self, values: np.ndarray, features: np.ndarray, truth: np.ndarray, means: np.ndarray
    ) -> float:
        """Returns the likeliest scale of logits for samples that are left out of their own mean.

        Args:
            values: of the samples, as means are taken of them.
            features: of the samples, as the layer sees them.
            truth: which class each is of.
            means: of the classes.

        Source:
            Platt 1999, Probabilistic outputs for support vector machines, section 2.2: targets that
            as few samples can vouch for, without which samples that are all right would have no
            likeliest scale.
        """
        kernel, bias = self._make_layer(means, 1.0)
        between = (means @ kernel + bias) if self.metric == "euclidean" else (kernel.T @ kernel)
        gaps = np.diag(between)[:, None] - between
        lengths = 1.0 if self.metric == "euclidean" else np.linalg.norm(features, axis=1).mean()
        unit = float(gaps.sum() / (len(means) * (len(means) - 1)) * lengths)
        if not unit > 0:
            raise DataError(
                "head 'prototype': expected classes whose features differ. Received: the same mean "
                "of all. Are the samples?"
            )
        start = _SURENESS / unit
        counts = truth.sum(axis=0)
        rows = np.flatnonzero(truth @ (counts > 1))
        if not len(rows):
            return start
        classes = truth[rows].argmax(axis=1)
        logits = features[rows] @ kernel + bias
        size = counts[classes][:, None]
        others = (size * means[classes] - values[rows]) / (size - 1)
        own_kernel, own_bias = self._make_layer(others, 1.0)
        own = (features[rows] * own_kernel.T).sum(axis=1) + own_bias
        logits[np.arange(len(rows)), classes] = own
        sure = (len(rows) + 1) / (len(rows) + 2)
        soft = np.full(logits.shape, (1 - sure) / (logits.shape[1] - 1))
        soft[np.arange(len(rows)), classes] = sure
        return float(start / Likelihood(start * logits, soft, "softmax").likeliest)

    def _recall(self, weights: Sequence[np.ndarray], classes: np.ndarray) -> np.ndarray:
        """Returns the means that a layer has of some classes.

        Shapes: (classes, features).

        Raises:
            DataError: it has none of one of them, as it is new.
        """
        kernel, bias = (np.asarray(x, np.float64)[..., classes] for x in weights)
        known = kernel.any(axis=0)
        if not known.all():
            raise DataError(
                "head 'prototype': expected a sample of every class to learn from. "
                f"Received: none of number {classes[np.flatnonzero(~known)[0]] + 1}."
            )
        found: np.ndarray = kernel.T / self._read_scale(kernel, bias)
        return found

    def _read_scale(self, kernel: np.ndarray, bias: np.ndarray) -> float:
        """Returns the scale of a layer of this form.

        Raises:
            ModelError: it is of another.
        """
        squares = np.square(kernel).sum(axis=0)
        if self.metric == "euclidean":
            # Of each class -½ s ‖μ‖² = -½ ‖w‖² / s.
            scales = squares / np.where(bias < 0, -2 * bias, np.inf)
        else:
            scales = np.where(bias == 0, np.sqrt(squares), 0.0)
        scale = float(np.median(scales))
        if not scale > 0 or np.abs(scales / scale - 1).max() > _OFF:
            raise ModelError(
                f"head 'prototype': expected a layer of class means, metric={self.metric}. "
                "Received: other weights. Train it again, or with the metric that it has."
            )
        return scale
