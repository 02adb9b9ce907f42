"""Figures of samples that each belong to exactly one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.calibration import draw_calibrated, find_bins, measure_error, sum_gaps
from tfxfer.evaluation.figures import Baseline, Figures, Metric, Sums
from tfxfer.evaluation.intervals import calibration_interval
from tfxfer.evaluation.rankings import Ranking, average_ranks
from tfxfer.evaluation.ratios import describe_class, list_unpredicted
from tfxfer.evaluation.tables import Matrix, Table, tabulate_labels

__all__ = ["ClassFigures"]

TOP = 5
"""As ImageNet is reported; said only where there are more classes than that."""

EPSILON = 1e-7
"""Floor of a probability in log loss, as Keras has it: a quantized model does say 0."""

_CONFUSIONS = 2  # others that a class is taken for: more make a line nobody reads

_SUM_TOLERANCE = 1e-4  # of a softmax's sum in float32


class ClassFigures(Figures):
    """Exactly one true class per sample; the answer is the class with the highest score.

    Averages run over the classes that have samples. Resampling is stratified by true class, because
    splits are, and so that no resample lacks a class. An average of recalls is worth
    `classes² / Σ 1/samples of a class` samples: as many give it its variance.
    """

    catalogue: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("accuracy", is_share=True),
        "top_5_accuracy": Metric("top-5 accuracy", is_share=True),
        "macro_f1": Metric("macro-F1", is_share=True),
        "balanced_accuracy": Metric("balanced accuracy", is_share=True),
        "calibration_error": Metric("calibration error", lower_is_better=True),
        "roc_auc": Metric("ROC-AUC", style="decimal", is_share=True),
        "average_precision": Metric("average precision", style="decimal", is_share=True),
        "log_loss": Metric("log loss", unit="own", style="decimal", lower_is_better=True),
    }
    headlines: ClassVar[tuple[str, ...]] = ("accuracy",)
    ranked: ClassVar[tuple[str, ...]] = ("roc_auc", "average_precision")
    leading: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")
    counted: ClassVar[tuple[str, ...]] = ("accuracy", "top_5_accuracy")
    score_range: ClassVar[str] = "probabilities 0..1 that sum to 1"

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        super().__init__(targets, scores, labels)
        targets, scores = self.targets, self.scores
        if not (np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()):
            raise DataError("evaluation: expected one-hot targets. Received: rows that are not.")
        self.true, self.answer = targets.argmax(axis=1), scores.argmax(axis=1)
        self.strata = self.true
        samples, classes = scores.shape
        self.confusion = np.bincount(
            self.true * classes + self.answer, minlength=classes * classes
        ).reshape(classes, classes)
        self.sizes = self.confusion.sum(axis=1)
        self.present = np.flatnonzero(self.sizes)
        self.effective_samples = len(self.present) ** 2 / float(
            (1 / self.sizes[self.present]).sum()
        )
        self.right = (self.true == self.answer).astype(np.float32)
        self.hits = np.eye(classes, dtype=np.float32)[self.true] * self.right[:, None]
        self.answers = np.eye(classes, dtype=np.float32)[self.answer]

        missing = [label for label, size in zip(labels, self.sizes, strict=True) if size == 0]
        if missing:
            self.notes.append(f"no samples of {missing}: left out of averages over classes")
        silent = [labels[k] for k in self.present.tolist() if self.confusion[:, k].sum() == 0]
        if silent:
            self.notes.append(f"never predicted, so without a precision: {', '.join(silent)}")

        self.losses = self.gaps = None
        if scores.min() < -1e-3 or scores.max() > 1 + 1e-3:
            self.notes.append(
                "calibration_error and log_loss left out: the scores are not probabilities 0..1"
            )
        else:
            confidence = scores[np.arange(samples), self.answer]
            self.confidence, self.bins = confidence, find_bins(confidence)
            self.gaps = sum_gaps(confidence, self.right, self.bins)
            self.losses = -np.log(np.clip(scores[np.arange(samples), self.true], EPSILON, 1))

        # For two classes the second is the positive one, as in scikit-learn.
        columns = self.present if classes > 2 else np.array([classes - 1])
        self.rankings = []
        if len(self.present) > 1:
            self.rankings = [Ranking(self.true == k, scores[:, k]) for k in columns]
        else:
            self.notes.append(
                "roc_auc and average_precision left out: all samples are of one class, "
                f"{labels[self.present[0]]!r}"
            )

    @property
    def rank_columns(self) -> int:
        """Number of classes that have to be ranked."""
        return len(self.rankings)

    def rights(self) -> dict[str, np.ndarray]:
        """Returns which answers are right, and which are among the best five of more classes."""
        found = {"accuracy": self.right > 0}
        if self.scores.shape[1] > TOP:
            best = np.argpartition(-self.scores, TOP - 1, axis=1)[:, :TOP]
            found["top_5_accuracy"] = (best == self.true[:, None]).any(axis=1)
        return found

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns averages over classes, and what depends on probabilities."""
        hits = (weights @ self.hits)[:, self.present]
        answers = (weights @ self.answers)[:, self.present]
        sizes = self.sizes[self.present]
        found: Sums = {
            "macro_f1": (2 * hits / (answers + sizes)).mean(axis=1),
            "balanced_accuracy": (hits / sizes).mean(axis=1),
        }
        if self.gaps is not None and self.losses is not None:
            found["calibration_error"] = measure_error(self.gaps, weights)
            found["log_loss"] = weights @ self.losses / self.samples
        return found

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns ROC-AUC and average precision: binary, or the mean of one class against all."""
        return average_ranks(self.rankings, weights)

    def interval(
        self, name: str, value: float, resampled: np.ndarray, *, seed: int
    ) -> dict[str, float] | None:
        """Returns the interval of the calibration error, which noise can only raise."""
        if name != "calibration_error":
            return None
        calibrated = draw_calibrated(self.confidence, self.bins, seed=seed)
        return calibration_interval(value, resampled, calibrated)

    def details(self) -> dict[str, Any]:
        """Returns the metrics per class and the confusion matrix, rows are the truth."""
        counts = self.confusion
        return {
            "per_class": [
                describe_class(label, counts[k, k], float(counts[:, k].sum()), self.sizes[k])
                for k, label in enumerate(self.labels)
            ],
            "confusion": counts.tolist(),
        }

    @classmethod
    def in_range(cls, scores: np.ndarray) -> bool:
        """Returns whether the outputs of each sample are shares of 1."""
        off = np.abs(scores.sum(axis=1) - 1).max()
        return bool(scores.min() >= 0 and scores.max() <= 1 and off <= _SUM_TOLERANCE)

    @classmethod
    def baselines(cls, document: Mapping[str, Any]) -> list[Baseline]:
        """Returns the accuracy of guessing, and of always answering the most frequent class."""
        classes = document["per_class"]
        sizes = {item["label"]: item["images"] for item in classes if item["images"]}
        if len(sizes) < 2:
            return []  # of samples of one class, answering it is right
        most = max(sizes, key=lambda label: sizes[label])
        return [
            Baseline("accuracy", 1 / len(classes), f"guessing among {len(classes)} classes"),
            Baseline("accuracy", sizes[most] / sum(sizes.values()), f"always answering {most!r}"),
        ]

    @classmethod
    def unpredicted(cls, document: Mapping[str, Any]) -> list[str]:
        """Returns the classes that samples have and that were never the answer."""
        return list_unpredicted(document)

    @classmethod
    def tables(cls, document: Mapping[str, Any]) -> list[Table]:
        """Returns the figures of each class."""
        return [tabulate_labels(document, title="Each class")]

    @classmethod
    def matrix(cls, document: Mapping[str, Any]) -> Matrix:
        """Returns the confusion matrix."""
        counts = tuple(tuple(row) for row in document["confusion"])
        return Matrix("Which class is taken for which", tuple(document["labels"]), counts)

    @classmethod
    def label_words(cls, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Returns how many samples of each class are right, and what the others were taken for."""
        labels, ranked = document["labels"], []
        for number, row in enumerate(document["confusion"]):
            size = sum(row)
            if not size:
                continue
            words = [f"{row[number]} of {size} right"]
            others = sorted(
                ((count, labels[k]) for k, count in enumerate(row) if count and k != number),
                key=lambda pair: (-pair[0], pair[1]),
            )
            words += [f"{count} taken for {label}" for count, label in others[:_CONFUSIONS]]
            ranked.append((row[number] / size, -size, labels[number], ", ".join(words)))
        return [(label, words) for _, _, label, words in sorted(ranked)]
