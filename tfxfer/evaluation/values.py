"""Figures of samples that each have a number, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfxfer.evaluation.figures import Baseline, Figures, Metric, Sums
from tfxfer.evaluation.ratios import divide

__all__ = ["ValueFigures"]


class ValueFigures(Figures):
    """Errors of numbers, in the labels' units; the mean over outputs where there are several."""

    catalogue: ClassVar[Mapping[str, Metric]] = {
        "mae": Metric("mean absolute error", unit="own", style="number", lower_is_better=True),
        "rmse": Metric("root mean squared error", unit="own", style="number", lower_is_better=True),
        "r2": Metric("R²", style="decimal"),
    }
    headlines: ClassVar[tuple[str, ...]] = ("mae",)
    leading: ClassVar[tuple[str, ...]] = ("mae", "r2")

    def __init__(self, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]) -> None:
        super().__init__(targets, scores, labels)
        targets, scores = self.targets, self.scores
        self.absolute = np.abs(scores - targets)
        self.squares = (scores - targets) ** 2
        # Centred, so that the variance of large values does not drown in rounding.
        self.centred = targets - targets.mean(axis=0)
        constant = [labels[k] for k in np.flatnonzero(np.ptp(targets, axis=0) == 0).tolist()]
        self.has_r2 = not constant
        if constant:
            self.notes.append(f"r2 left out: every sample has the same true value of {constant}")

    def sums(self, weights: np.ndarray) -> Sums:
        """Returns mean absolute error, root mean squared error and R²."""
        # float64: products of large values and counts do not fit into float32's 24 bits.
        weights = weights.astype(np.float64)
        squares = weights @ self.squares
        found: Sums = {
            "mae": (weights @ self.absolute / self.samples).mean(axis=1),
            "rmse": np.sqrt(squares / self.samples).mean(axis=1),
        }
        if self.has_r2:
            spread = weights @ self.centred**2 - (weights @ self.centred) ** 2 / self.samples
            # A resample of equal values has no R²; rounding leaves its spread near 0, not at it.
            spread[spread < 1e-9 * (self.centred**2).sum(axis=0)] = 0
            found["r2"] = (1 - divide(squares, spread)).mean(axis=1)
        return found

    def parts(self) -> dict[str, Figures]:
        """Returns the figures of each output, where there are several."""
        if len(self.labels) == 1:
            return {}
        return {
            label: type(self)(self.targets[:, [k]], self.scores[:, [k]], [label])
            for k, label in enumerate(self.labels)
        }

    @classmethod
    def baselines(cls, document: Mapping[str, Any]) -> list[Baseline]:
        """Returns the R² of always answering the mean, 0 by its definition."""
        return [Baseline("r2", 0.0, "always answering the mean")] if "r2" in document else []
