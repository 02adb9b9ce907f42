"""Whether two models look at the same place of a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tfxfer.errors import DataError

__all__ = ["TOP_SHARE", "Agreement", "compare_maps", "rank_correlation", "top_overlap"]

TOP_SHARE = 0.2
"""Share of the picture that counts as where a model looks. Two maps that have nothing to do with
each other have this share of it in common."""


Verdict: TypeAlias = Literal["same", "partly", "another"]

# Measured on 24 photos of `flowers5` with EfficientNet-Lite0: its float file looks at the same
# place in all, its int8 file in 22, with medians of 0.86 in common and 0.95; against the map of
# another photo 0 of 24 do, with medians of 0.14 and -0.055, and 2 reach 0.4.
_SAME, _PARTLY = 0.7, 0.4


@dataclass(frozen=True)
class Agreement:
    """How alike two heat maps are.

    Args:
        rank_correlation: Spearman's, -1..1; None where one of them is the same all over.
        overlap: share of the warmest fifth that both have in common; None in the same case.
    """

    rank_correlation: float | None
    overlap: float | None

    @property
    def verdict(self) -> Verdict | None:
        """`same`, `partly` or `another` place; None where it cannot be told."""
        if self.rank_correlation is None or self.overlap is None:
            return None
        if self.overlap >= _SAME and self.rank_correlation >= _SAME:
            return "same"
        return "partly" if self.overlap >= _PARTLY and self.rank_correlation > 0 else "another"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data, with the verdict."""
        return {**asdict(self), "verdict": self.verdict}

    def describe(self) -> str:
        """Returns what a person is told after `looks at`."""
        if self.rank_correlation is None or self.overlap is None:
            return "no place more than another: covering any of them changes nothing"
        share = f"{100 * self.overlap:.0f} % of the warmest fifth in common"
        correlation = f"rank correlation {self.rank_correlation:.2f}"
        words = {"same": "the same place", "partly": "partly the same place"}
        return f"{words.get(str(self.verdict), 'another place')}: {share}, {correlation}"


def compare_maps(one: np.ndarray, other: np.ndarray) -> Agreement:
    """Returns how alike two maps of one picture are.

    Args:
        one: with its sign, before what speaks against the output is cut off.
        other: the same of another model, for the same output.

    Shapes: both (rows, columns).

    Raises:
        DataError: maps of different shapes.
    """
    if one.shape != other.shape:
        raise DataError(
            f"agreement: expected two maps of one shape. Received: {one.shape} and {other.shape}."
        )
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return Agreement(None, None)
    return Agreement(rank_correlation(one, other), top_overlap(one, other))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns Spearman's correlation: that of the ranks, equal values sharing their mean rank.

    Source:
        Spearman 1904, https://doi.org/10.2307/1412159.
    """
    ranks = [_rank(values) for values in (one, other)]
    return float(np.corrcoef(ranks)[0, 1])


def top_overlap(one: np.ndarray, other: np.ndarray, share: float = TOP_SHARE) -> float:
    """Returns which share of the warmest places of two maps is the same.

    Of equal values at the edge of the warmest each counts in part, so that neither map gains from
    the order of its pixels.

    Args:
        one: a map.
        other: another one of the same shape.
        share: of the places that count as the warmest.
    """
    count = share * one.size
    both = np.minimum(_choose_top(one, count), _choose_top(other, count))
    return float(both.sum() / count)


def _rank(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return mean_ranks


def _choose_top(values: np.ndarray, count: float) -> np.ndarray:
    """Returns how much of each value is among the largest: 1, 0, or a part at the edge."""
    flat = values.ravel()
    edge = np.sort(flat)[max(0, flat.size - int(np.ceil(count)))]
    above, at = flat > edge, flat == edge
    part = (count - above.sum()) / at.sum()
    chosen: np.ndarray = above + part * at
    return chosen
