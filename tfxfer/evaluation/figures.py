"""Metrics as functions of weights on the images: all ones for the value, one row per resample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

__all__ = ["ClassFigures", "Figures", "MultilabelFigures", "ValueFigures"]

CALIBRATION_BINS = 15
"""Equal-width bins of confidence. Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599."""

TOP = 5
"""As ImageNet is reported; said only where there are more classes than that."""

EPSILON = 1e-7
"""Floor of a probability in log loss, as Keras has it: a quantized model does say 0."""

Sums = dict[str, np.ndarray]


class Figures(ABC):
    """Every metric of one set of predictions.

    Attributes:
        strata: images drawn together with replacement, (images,).
        notes: why a metric is missing or to be read with care.
        effective_images: images that an average over classes is worth: as many as give an average
            of recalls its variance, `classes² / Σ 1/images of a class`.
    """

    ranked: ClassVar[tuple[str, ...]] = ("roc_auc", "average_precision")
    strata: np.ndarray
    notes: list[str]
    effective_images: float

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.strata)

    @property
    def rank_columns(self) -> int:
        """Number of columns that have to be ranked."""
        return 0

    @abstractmethod
    def sums(self, weights: np.ndarray) -> Sums:
        """Returns the metrics that are sums over images, not a number where undefined.

        Shapes: weights (resamples, images); returns (resamples,) each.
        """

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns the metrics of a ranking, which cost a sort; the same shapes."""
        return {}

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Returns what has no interval, such as the confusion matrix."""


class ClassFigures(Figures):
    """Exactly one true class per image.

    Averages run over the classes that have images. Resampling is stratified by true class, because
    splits are, and so that no resample lacks a class.
    """

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.true, self.answer = targets.argmax(axis=1), scores.argmax(axis=1)
        self.strata, self.notes = self.true, []
        classes, images = scores.shape[1], len(scores)
        self.confusion = np.bincount(
            self.true * classes + self.answer, minlength=classes * classes
        ).reshape(classes, classes)
        self.sizes = self.confusion.sum(axis=1)
        self.present = np.flatnonzero(self.sizes)
        self.effective_images = len(self.present) ** 2 / float((1 / self.sizes[self.present]).sum())
        self.right = (self.true == self.answer).astype(np.float32)
        self.hits = np.eye(classes, dtype=np.float32)[self.true] * self.right[:, None]
        self.answers = np.eye(classes, dtype=np.float32)[self.answer]
        self.top = self._find_top(scores) if classes > TOP else None

        missing = [label for label, size in zip(labels, self.sizes, strict=True) if size == 0]
        if missing:
            self.notes.append(f"no images of {missing}: left out of averages over classes")
        silent = [labels[k] for k in self.present.tolist() if self.confusion[:, k].sum() == 0]
        if silent:
            self.notes.append(f"never predicted: {silent}, so these have no precision")

        self.losses = self.gaps = None
        if scores.min() < -1e-3 or scores.max() > 1 + 1e-3:
            self.notes.append(
                "calibration_error and log_loss left out: the scores are not probabilities 0..1"
            )
        else:
            confidence = scores[np.arange(images), self.answer]
            bins = np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1
            self.bins = np.eye(CALIBRATION_BINS)[np.clip(bins, 0, CALIBRATION_BINS - 1)]
            self.confidence = confidence
            self.gaps = self.bins * (self.right - confidence)[:, None]
            self.losses = -np.log(np.clip(scores[np.arange(images), self.true], EPSILON, 1))

        # For two classes the second is the positive one, as in scikit-learn.
        columns = self.present if classes > 2 else np.array([classes - 1])
        self.rankings = []
        if len(self.present) > 1:
            self.rankings = [_Ranking(self.true == k, scores[:, k]) for k in columns]
        else:
            self.notes.append(
                "roc_auc and average_precision left out: all images are of one class, "
                f"{labels[self.present[0]]!r}"
            )

    def _find_top(self, scores: np.ndarray) -> np.ndarray:
        best = np.argpartition(-scores, TOP - 1, axis=1)[:, :TOP]
        return (best == self.true[:, None]).any(axis=1)

    @property
    def rank_columns(self) -> int:
        """Number of classes that have to be ranked."""
        return len(self.rankings)

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns accuracy, averages over classes, and what depends on probabilities."""
        hits = (weights @ self.hits)[:, self.present]
        answers = (weights @ self.answers)[:, self.present]
        sizes = self.sizes[self.present]
        found: Sums = {
            "accuracy": hits.sum(axis=1) / self.images,
            "macro_f1": (2 * hits / (answers + sizes)).mean(axis=1),
            "balanced_accuracy": (hits / sizes).mean(axis=1),
        }
        if self.gaps is not None and self.losses is not None:
            found["calibration_error"] = np.abs(weights @ self.gaps).sum(axis=1) / self.images
            found["log_loss"] = weights @ self.losses / self.images
        return found

    def draw_calibrated(self, *, seed: int, draws: int) -> np.ndarray:
        """Returns the calibration errors of answers that are right as often as the model says.

        Shapes: (draws,).
        """
        rng = np.random.default_rng(seed)
        errors = np.empty(draws)
        for k in range(draws):
            right = rng.random(self.images) < self.confidence
            errors[k] = np.abs((right - self.confidence) @ self.bins).sum() / self.images
        return errors

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns ROC-AUC and average precision: binary, or the mean of one class against all."""
        return _average_ranks(self.rankings, weights)

    def details(self) -> dict[str, Any]:
        """Returns the metrics per class and the confusion matrix, rows are the truth."""
        counts = self.confusion
        return {
            "per_class": [
                _describe_class(label, counts[k, k], float(counts[:, k].sum()), self.sizes[k])
                for k, label in enumerate(self.labels)
            ],
            "confusion": counts.tolist(),
        }


class MultilabelFigures(Figures):
    """Any number of true labels per image. Averages run over the labels that have images."""

    def __init__(
        self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str], threshold: float
    ) -> None:
        self.labels = tuple(labels)
        true, answer = targets > 0.5, scores > threshold
        self.strata, self.notes = np.zeros(len(true), int), []
        self.right = (true == answer).astype(np.float32)
        self.hits = (true & answer).astype(np.float32)
        self.answers, self.truths = answer.astype(np.float32), true.astype(np.float32)
        self.sizes = true.sum(axis=0)
        self.present = np.flatnonzero(self.sizes)
        self.effective_images = 0.0
        if self.present.size:
            harmonic = float((1 / self.sizes[self.present]).sum())
            # Labels share images, so their average is never worth more than all of them.
            self.effective_images = min(len(self.present) ** 2 / harmonic, len(true))
        mixed = np.flatnonzero((self.sizes > 0) & (self.sizes < len(true)))
        self.rankings = [_Ranking(true[:, k], scores[:, k]) for k in mixed]

        missing = [labels[k] for k in np.flatnonzero(self.sizes == 0).tolist()]
        if missing:
            self.notes.append(f"no images of {missing}: left out of averages over labels")
        if not self.present.size:
            self.notes.append("macro_f1 left out: no image has any label")
            if not answer.any():
                self.notes.append("micro_f1 left out: no label is there, and none was predicted")
        silent = [labels[k] for k in self.present.tolist() if not answer[:, k].any()]
        if silent:
            self.notes.append(f"never predicted: {silent}, so these have no precision")
        if not self.rankings:
            self.notes.append(
                "roc_auc and average_precision left out: no label is both present and absent"
            )

    @property
    def rank_columns(self) -> int:
        """Number of labels that have to be ranked."""
        return len(self.rankings)

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns accuracy over all labels, share of images all right, and F1."""
        hits, both = weights @ self.hits, weights @ (self.answers + self.truths)
        found: Sums = {
            "accuracy": (weights @ self.right.mean(axis=1)) / self.images,
            "exact_match": (weights @ self.right.all(axis=1)) / self.images,
            "micro_f1": _divide(2 * hits.sum(axis=1), both.sum(axis=1)),
        }
        if self.present.size:
            scores = _divide(2 * hits[:, self.present], both[:, self.present])
            found["macro_f1"] = _mean_defined(scores)
        return found

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns the mean ROC-AUC and average precision over the labels."""
        return _average_ranks(self.rankings, weights)

    def details(self) -> dict[str, Any]:
        """Returns the metrics per label."""
        hits, answers = self.hits.sum(axis=0), self.answers.sum(axis=0)
        return {
            "per_class": [
                _describe_class(label, hits[k], answers[k], self.sizes[k])
                for k, label in enumerate(self.labels)
            ]
        }


class ValueFigures(Figures):
    """Errors of numbers, in the labels' units; the mean over outputs where there are several."""

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        self.strata, self.notes = np.zeros(len(targets), int), []
        self.effective_images = float(len(targets))
        self.absolute = np.abs(scores - targets)
        self.squares = (scores - targets) ** 2
        # Centred, so that the variance of large values does not drown in rounding.
        self.centred = targets - targets.mean(axis=0)
        constant = [labels[k] for k in np.flatnonzero(np.ptp(targets, axis=0) == 0).tolist()]
        self.has_r2 = not constant
        if constant:
            self.notes.append(f"r2 left out: every image has the same true value of {constant}")

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns mean absolute error, root mean squared error and R²."""
        # float64: products of large values and counts do not fit into float32's 24 bits.
        weights = weights.astype(np.float64)
        squares = weights @ self.squares
        found: Sums = {
            "mae": (weights @ self.absolute / self.images).mean(axis=1),
            "rmse": np.sqrt(squares / self.images).mean(axis=1),
        }
        if self.has_r2:
            spread = weights @ self.centred**2 - (weights @ self.centred) ** 2 / self.images
            # A resample of equal values has no R²; rounding leaves its spread near 0, not at it.
            spread[spread < 1e-9 * (self.centred**2).sum(axis=0)] = 0
            found["r2"] = (1 - _divide(squares, spread)).mean(axis=1)
        return found

    def details(self) -> dict[str, Any]:
        """Returns nothing: all figures have intervals."""
        return {}


class _Ranking:
    """One column of scores, sorted once. Only places that hold positives enter both areas."""

    def __init__(self, positives: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.is_positive = positives[self.order]
        # Images with equal scores enter the curve together.
        ordered = scores[self.order]
        starts = np.flatnonzero(np.append(True, np.diff(ordered) != 0))
        ends = np.append(starts[1:], len(ordered))
        hits = np.append(0, np.cumsum(self.is_positive))
        holds = hits[ends] > hits[starts]
        self.starts, self.ends = starts[holds], ends[holds]
        self.hit_ends = hits[self.ends]

    def measure(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns ROC-AUC and average precision, each (resamples,).

        Shapes: columns (images, resamples), so that sums run along contiguous memory.
        """
        drawn = columns[self.order]
        hits = np.cumsum(drawn[self.is_positive], axis=0)[self.hit_ends - 1].astype(np.float64)
        chosen = np.cumsum(drawn, axis=0)
        positives, images = hits[-1], chosen[-1].astype(np.float64)
        before = np.where(self.starts[:, None] > 0, chosen[self.starts - 1], 0)
        after = chosen[self.ends - 1]
        steps = np.diff(hits, axis=0, prepend=0)
        # Each positive beats the negatives after its group, and half of those inside it.
        beaten = (images - positives) - ((before - (hits - steps)) + (after - hits)) / 2
        area = (steps * beaten).sum(axis=0)
        precision = (steps * hits / np.maximum(after, 1)).sum(axis=0)
        return _divide(area, positives * (images - positives)), _divide(precision, positives)


def _average_ranks(rankings: Sequence[_Ranking], weights: np.ndarray) -> Sums:
    if not rankings:
        return {}
    columns = np.ascontiguousarray(weights.T)
    areas, precisions = zip(*(ranking.measure(columns) for ranking in rankings), strict=True)
    return {
        "roc_auc": _mean_defined(np.stack(areas, axis=1)),
        "average_precision": _mean_defined(np.stack(precisions, axis=1)),
    }


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    nowhere = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=nowhere, where=denominator != 0)


def _mean_defined(columns: np.ndarray) -> np.ndarray:
    """Means of rows over the columns that are numbers."""
    defined = ~np.isnan(columns)
    return _divide(np.where(defined, columns, 0).sum(axis=1), defined.sum(axis=1))


def _describe_class(label: str, hits: float, answers: float, images: float) -> dict[str, Any]:
    # null, not 0, for what does not exist: no answers have no precision, no images no recall.
    return {
        "label": label,
        "precision": float(hits / answers) if answers else None,
        "recall": float(hits / images) if images else None,
        "f1": float(2 * hits / (answers + images)) if images else None,
        "images": int(images),
    }
