"""Grades in an order, such as the degree of a defect: a task of its own, from outside."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer import DataError, Head, Monitor, Prediction
from tfxfer.evaluation import Figures, Metric, Sums

BETWEEN = "<"
"""Between the two grades that an output tells apart: output `1<2` is the probability of 2 or more.

Source:
    Niu et al. 2016, https://doi.org/10.1109/CVPR.2016.532: one binary output per boundary between
    grades; the answer is the number of boundaries that are passed.
"""


class GradeFigures(Figures):
    """Quadratic weighted kappa, and errors counted in grades.

    Source:
        Cohen 1968, https://doi.org/10.1037/h0026256, with squared distances as weights: 1 minus
        the mean squared distance, divided by that of the same answers in random order.
    """

    catalogue: ClassVar[Mapping[str, Metric]] = {
        "quadratic_kappa": Metric("quadratic kappa", style="decimal"),
        "grade_error": Metric(
            "mean error in grades", unit="own", style="number", lower_is_better=True
        ),
        "accuracy": Metric("right grade", is_share=True),
        "within_one": Metric("at most one grade off", is_share=True),
    }
    headlines = ("quadratic_kappa", "grade_error")
    score_range = "probabilities 0..1"

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        super().__init__(targets, scores, labels)
        whole = np.isin(self.targets, (0, 1)).all()
        if not whole or (np.diff(self.targets, axis=1) > 0).any():
            raise DataError("grades: expected targets of ones followed by zeros. Received: others.")
        self.true = self.targets.sum(axis=1).astype(int)
        self.answer = count_passed(self.scores)
        self.distance = np.abs(self.true - self.answer)
        self.strata = self.true
        if np.ptp(self.true) == np.ptp(self.answer) == 0 and not self.distance.any():
            self.notes.append("quadratic_kappa left out: one grade, and no other answer")

    def rights(self) -> dict[str, np.ndarray]:
        return {"accuracy": self.distance == 0, "within_one": self.distance <= 1}

    def sums(self, weights: np.ndarray) -> Sums:
        weights = weights.astype(np.float64)
        observed = self.samples * (weights @ self.distance**2)
        mean_true, mean_answer = weights @ self.true, weights @ self.answer
        # Of all pairs of a true grade and an answer: Σ(t - a)² = nΣt² + nΣa² - 2 Σt Σa.
        by_chance = (
            self.samples * (weights @ (self.true**2 + self.answer**2)) - 2 * mean_true * mean_answer
        )
        nowhere = np.full(len(weights), np.nan)
        ratio = np.divide(observed, by_chance, out=nowhere, where=by_chance > 0)
        return {
            "quadratic_kappa": 1 - ratio,
            "grade_error": weights @ self.distance / self.samples,
        }

    def details(self) -> dict[str, Any]:
        grades = find_grades(self.labels)
        cells = self.true * len(grades) + self.answer
        counts = np.bincount(cells, minlength=len(grades) ** 2).reshape(len(grades), -1)
        return {"grades": grades, "confusion": counts.tolist()}

    @classmethod
    def in_range(cls, scores: np.ndarray) -> bool:
        return bool(scores.min() >= 0 and scores.max() <= 1)


class Ordinal(Head):
    """One sigmoid per boundary between two grades, which are whole numbers."""

    name = "double_ordinal"
    figures = GradeFigures
    metadata_kind = "grades"
    monitor = Monitor("val_loss", "min")
    complete_strata = True
    example_labels = ("0", "1", "2", "3")
    bad_labels = (("2", "2"), ("1", "high"), ("1", "01"), ("0.5", "1"))

    def options(self) -> dict[str, Any]:
        return {}

    def fit_labels(self, raw: Sequence[str]) -> tuple[str, ...]:
        grades = sorted({self._parse(text) for text in raw})
        if len(grades) < 2:
            raise DataError(
                f"head {self.name!r}: expected samples of at least 2 grades. "
                f"Received: grades={grades} from {len(raw)} samples."
            )
        return tuple(f"{low}{BETWEEN}{high}" for low, high in itertools.pairwise(grades))

    def check_labels(self, raw: Sequence[str], labels: Sequence[str]) -> None:
        unknown = sorted(set(raw) - set(find_grades(labels)))
        if unknown:
            raise DataError(
                f"head {self.name!r}: expected grades among {find_grades(labels)}. "
                f"Received: {unknown[:10]}."
            )

    def strata(self, raw: Sequence[str]) -> list[str]:
        return list(raw)

    def encode(self, raw: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        self.check_labels(raw, labels)
        grades = find_grades(labels)
        ranks = np.array([grades.index(text) for text in raw], int)
        return (ranks[:, None] > np.arange(len(labels))).astype(np.float32)

    def membership(self, targets: np.ndarray) -> np.ndarray:
        # Boundaries overlap, grades do not: a sample of grade 3 is not one of grade 1, too.
        return np.eye(targets.shape[1] + 1)[count_passed(targets)]

    def build(self, features: Any, labels: Sequence[str]) -> Any:
        from keras import layers

        return layers.Dense(
            len(labels), activation="sigmoid", dtype="float32", name="grade_boundaries"
        )(features)

    def loss(self) -> Any:
        from keras import losses

        return losses.BinaryCrossentropy()

    def metrics(self) -> list[Any]:
        from keras import metrics

        return [metrics.BinaryAccuracy(name="boundaries")]

    def decode(self, scores: np.ndarray, labels: Sequence[str]) -> list[Prediction]:
        grades = find_grades(labels)
        return [
            Prediction(
                label=grades[passed],
                # As sure as it is of the boundary that it is least sure of.
                score=float(np.maximum(row, 1 - row).min()),
                scores=dict(zip(labels, map(float, row), strict=True)),
            )
            for row, passed in zip(scores, count_passed(scores), strict=True)
        ]

    def _parse(self, text: str) -> int:
        try:
            grade = int(text)
        except ValueError:
            grade = None
        if grade is None or str(grade) != text:
            raise DataError(
                f"head {self.name!r}: expected a grade, a whole number such as 2. "
                f"Received: label={text!r}."
            )
        return grade


def find_grades(labels: Sequence[str]) -> list[str]:
    """Returns the grades in order, from the boundaries between them."""
    return [labels[0].partition(BETWEEN)[0], *(label.partition(BETWEEN)[2] for label in labels)]


def count_passed(scores: np.ndarray) -> np.ndarray:
    """Returns the rank of each sample's grade: how many boundaries it is above."""
    return np.asarray((scores > 0.5).sum(axis=1))
