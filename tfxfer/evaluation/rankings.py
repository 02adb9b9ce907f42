"""Areas under curves of weighted samples, from columns that are sorted once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfxfer.evaluation.figures import Sums
from tfxfer.evaluation.ratios import divide, mean_defined

__all__ = ["Ranking", "average_ranks"]


class Ranking:
    """One column of scores, sorted once. Only places that hold positives enter both areas."""

    def __init__(self, positives: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.is_positive = positives[self.order]
        # Samples with equal scores enter the curve together.
        ordered = scores[self.order]
        starts = np.flatnonzero(np.append(True, np.diff(ordered) != 0))
        ends = np.append(starts[1:], len(ordered))
        hits = np.append(0, np.cumsum(self.is_positive))
        holds = hits[ends] > hits[starts]
        self.starts, self.ends = starts[holds], ends[holds]
        self.hit_ends = hits[self.ends]

    def measure(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns ROC-AUC and average precision, each (resamples,).

        Shapes: columns (samples, resamples), so that sums run along contiguous memory.
        """
        drawn = columns[self.order]
        hits = np.cumsum(drawn[self.is_positive], axis=0)[self.hit_ends - 1].astype(np.float64)
        chosen = np.cumsum(drawn, axis=0)
        positives, samples = hits[-1], chosen[-1].astype(np.float64)
        before = np.where(self.starts[:, None] > 0, chosen[self.starts - 1], 0)
        after = chosen[self.ends - 1]
        steps = np.diff(hits, axis=0, prepend=0)
        # Each positive beats the negatives after its group, and half of those inside it.
        beaten = (samples - positives) - ((before - (hits - steps)) + (after - hits)) / 2
        area = (steps * beaten).sum(axis=0)
        precision = (steps * hits / np.maximum(after, 1)).sum(axis=0)
        return divide(area, positives * (samples - positives)), divide(precision, positives)


def average_ranks(rankings: Sequence[Ranking], weights: np.ndarray) -> Sums:
    """Returns `roc_auc` and `average_precision`, means over the rankings; nothing without any.

    Shapes: weights (resamples, samples); returns (resamples,) each.
    """
    if not rankings:
        return {}
    columns = np.ascontiguousarray(weights.T)
    areas, precisions = zip(*(ranking.measure(columns) for ranking in rankings), strict=True)
    return {
        "roc_auc": mean_defined(np.stack(areas, axis=1)),
        "average_precision": mean_defined(np.stack(precisions, axis=1)),
    }
