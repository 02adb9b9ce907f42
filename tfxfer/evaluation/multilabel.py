"""Figures of samples that each carry any number of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.errors import DataError
from tfxfer.evaluation.figures import Baseline, Figures, Metric, Sums
from tfxfer.evaluation.rankings import Ranking, average_ranks
from tfxfer.evaluation.ratios import (
    describe_class,
    divide,
    list_unpredicted,
    mean_defined,
)
from tfxfer.evaluation.tables import Table, tabulate_labels

__all__ = ["MultilabelFigures"]


class MultilabelFigures(Figures):
    """Any number of true labels per sample. Averages run over the labels that have samples.

    The accuracy over all labels is no headline, because with few labels a sample, answering "none"
    scores high. Where no sample has a label, it is all there is.

    Args:
        targets: multi-hot.
        scores: as a model puts them out.
        labels: one name per output.
        threshold: a label counts as predicted above it.
    """

    catalogue: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("accuracy", is_share=True),
        "exact_match": Metric("all labels right", is_share=True),
        "macro_f1": Metric("macro-F1", is_share=True),
        "micro_f1": Metric("micro-F1", is_share=True),
        "roc_auc": Metric("ROC-AUC", style="decimal", is_share=True),
        "average_precision": Metric("average precision", style="decimal", is_share=True),
    }
    headlines: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")
    ranked: ClassVar[tuple[str, ...]] = ("roc_auc", "average_precision")
    leading: ClassVar[tuple[str, ...]] = ("macro_f1", "exact_match")
    counted: ClassVar[tuple[str, ...]] = ("exact_match",)
    score_range: ClassVar[str] = "probabilities 0..1"

    def __init__(
        self,
        targets: np.ndarray,
        scores: np.ndarray,
        labels: Sequence[str],
        threshold: float = 0.5,
    ) -> None:
        super().__init__(targets, scores, labels)
        if not np.isin(self.targets, (0, 1)).all():
            raise DataError("evaluation: expected targets of 0 and 1. Received: other values.")
        true, answer = self.targets > 0.5, self.scores > threshold
        self.right = (true == answer).astype(np.float32)
        self.hits = (true & answer).astype(np.float32)
        self.answers, self.truths = answer.astype(np.float32), true.astype(np.float32)
        self.sizes = true.sum(axis=0)
        self.present = np.flatnonzero(self.sizes)
        self.effective_samples = 0.0
        if self.present.size:
            harmonic = float((1 / self.sizes[self.present]).sum())
            # Labels share samples, so their average is never worth more than all of them.
            self.effective_samples = min(len(self.present) ** 2 / harmonic, len(true))
        mixed = np.flatnonzero((self.sizes > 0) & (self.sizes < len(true)))
        self.rankings = [Ranking(true[:, k], self.scores[:, k]) for k in mixed]

        missing = [labels[k] for k in np.flatnonzero(self.sizes == 0).tolist()]
        if missing:
            self.notes.append(f"no samples of {missing}: left out of averages over labels")
        if not self.present.size:
            self.notes.append("macro_f1 left out: no sample has any label")
            if not answer.any():
                self.notes.append("micro_f1 left out: no label is there, and none was predicted")
        silent = [labels[k] for k in self.present.tolist() if not answer[:, k].any()]
        if silent:
            self.notes.append(f"never predicted, so without a precision: {', '.join(silent)}")
        if not self.rankings:
            self.notes.append(
                "roc_auc and average_precision left out: no label is both present and absent"
            )

    @property
    def rank_columns(self) -> int:
        """Number of labels that have to be ranked."""
        return len(self.rankings)

    def rights(self) -> dict[str, np.ndarray]:
        """Returns which samples have all their labels and no other."""
        return {"exact_match": np.asarray(self.right.all(axis=1))}

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns accuracy over all labels, and F1."""
        hits, both = weights @ self.hits, weights @ (self.answers + self.truths)
        found: Sums = {
            "accuracy": (weights @ self.right.mean(axis=1)) / self.samples,
            "micro_f1": divide(2 * hits.sum(axis=1), both.sum(axis=1)),
        }
        if self.present.size:
            scores = divide(2 * hits[:, self.present], both[:, self.present])
            found["macro_f1"] = mean_defined(scores)
        return found

    def ranks(self, weights: np.ndarray) -> Sums:
        """Returns the mean ROC-AUC and average precision over the labels."""
        return average_ranks(self.rankings, weights)

    def details(self) -> dict[str, Any]:
        """Returns the metrics per label."""
        hits, answers = self.hits.sum(axis=0), self.answers.sum(axis=0)
        return {
            "per_class": [
                describe_class(label, hits[k], answers[k], self.sizes[k])
                for k, label in enumerate(self.labels)
            ]
        }

    @classmethod
    def in_range(cls, scores: np.ndarray) -> bool:
        """Returns whether every output is a probability."""
        return bool(scores.min() >= 0 and scores.max() <= 1)

    @classmethod
    def baselines(cls, document: Mapping[str, Any]) -> list[Baseline]:
        """Returns the macro-F1 of giving every label to every sample."""
        samples = document["images"]
        sizes = [item["images"] for item in document["per_class"] if item["images"]]
        if not sizes or "macro_f1" not in document:
            return []
        mean = sum(2 * size / (size + samples) for size in sizes) / len(sizes)
        return [Baseline("macro_f1", mean, "giving every label to every sample")]

    @classmethod
    def unpredicted(cls, document: Mapping[str, Any]) -> list[str]:
        """Returns the labels that samples have and that none was given."""
        return list_unpredicted(document)

    @classmethod
    def tables(cls, document: Mapping[str, Any]) -> list[Table]:
        """Returns the figures of each label."""
        return [tabulate_labels(document, title="Each label")]

    @classmethod
    def label_words(cls, document: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Returns how many samples with each label were found, and how many false alarms."""
        ranked = []
        for item in document["per_class"]:
            size = item["images"]
            if not size:
                continue
            hits = round(item["recall"] * size)
            words = f"{hits} of {size} found"
            if hits:
                alarms = round(hits / item["precision"]) - hits
                words += f", {alarms} false alarms" * (alarms > 0)
            ranked.append((item["f1"], -size, item["label"], words))
        return [(label, words) for _, _, label, words in sorted(ranked)]
