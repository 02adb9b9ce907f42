"""Recall, false alarms and how often a label is chosen, of groups, of resamples and of shuffles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfxfer.evaluation.intervals import resample
from tfxfer.evaluation.ratios import divide
from tfxfer.trust.rates import Decisions

__all__ = ["SHUFFLES", "Events", "find_rates", "resample_rates", "shuffle_rates"]

SHUFFLES = 200
"""Shuffles of the groups, for the gap that chance alone gives.

Source: Efron and Tibshirani 1993, section 6.4: 50 to 200 are enough for a standard error.
"""


@dataclass(frozen=True, eq=False)
class Events:
    """What happened to each sample, label by label.

    Args:
        columns: 1 where it was found and is true, is true, was found and is not true, is not true,
            was found; else 0; float32 (samples, 5 · labels).
        true: which labels it has, bool (samples, labels).
    """

    columns: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, decisions: Decisions) -> Events:
        """Returns what happened to each sample."""
        true, found = decisions.true, decisions.found
        parts = (true & found, true, ~true & found, ~true, found)
        return cls(np.concatenate(parts, axis=1).astype(np.float32), true)

    def count(self, weights: np.ndarray) -> np.ndarray:
        """Returns (rows of weights, 6, labels): the five counts, and all samples."""
        found = (weights @ self.columns).reshape(len(weights), 5, -1)
        total = np.broadcast_to(weights.sum(axis=1)[:, None, None], (*found[:, :1].shape,))
        return np.concatenate([found, total], axis=1)


def find_rates(counts: np.ndarray) -> np.ndarray:
    """Returns recall, false alarms and chosen, NaN where undefined: (…, 3, labels)."""
    return divide(counts[..., (0, 2, 4), :], counts[..., (1, 3, 5), :])


def resample_rates(
    events: Events, groups: np.ndarray, *, seed: int, resamples: int
) -> Iterator[np.ndarray]:
    """Yields rates (resamples, groups, 3, labels)."""
    members = [np.flatnonzero(groups == number) for number in range(groups.max() + 1)]
    parts = [Events(events.columns[rows], events.true[rows]) for rows in members]
    for weights in resample(groups, seed=seed, resamples=resamples):
        found = [part.count(weights[:, rows]) for part, rows in zip(parts, members, strict=True)]
        yield find_rates(np.stack(found, axis=1))


def shuffle_rates(
    events: Events, groups: np.ndarray, *, seed: int, within_label: bool
) -> Iterator[np.ndarray]:
    """Yields rates (groups, 3, labels) of groups that say nothing of a sample.

    Args:
        events: what is counted.
        groups: of each sample.
        seed: of the shuffles.
        within_label: whether each group keeps as many samples of each label as it has.
    """
    rng = np.random.default_rng(seed)
    # Samples that are the same, whatever was made of them, change places.
    kinds: np.ndarray = np.zeros(len(groups), int)
    if within_label:
        kinds = np.unique(events.true, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(kinds, kind="stable")
    one_hot = np.eye(groups.max() + 1)
    for _ in range(SHUFFLES):
        shuffled = np.empty_like(groups)
        # Sorted by kind, then at random: each kind gets its own groups back in another order.
        shuffled[np.lexsort((rng.random(len(groups)), kinds))] = groups[order]
        yield find_rates(events.count(one_hot[shuffled].T))
