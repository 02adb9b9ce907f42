"""What each sample is and what it was taken for, label by label, as the head says; their rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfxfer.errors import TfxferError
from tfxfer.evaluation.blame import blame_head
from tfxfer.evaluation.intervals import describe, wilson

if TYPE_CHECKING:
    from tfxfer.head import Head

__all__ = ["Decisions", "find_decisions", "mean_recall"]


@dataclass(frozen=True, eq=False)
class Decisions:
    """What each sample is and what it was taken for.

    Args:
        labels: what a sample may be.
        true: which of them it is.
        found: which of them the answer says.

    Shapes: bool (samples, labels).
    """

    labels: tuple[str, ...]
    true: np.ndarray
    found: np.ndarray

    def select(self, chosen: np.ndarray) -> Decisions:
        """Returns those of some samples.

        Shapes: bool (samples,).
        """
        return Decisions(self.labels, self.true[chosen], self.found[chosen])

    def recalls(self) -> dict[str, dict[str, float]]:
        """Returns how many of each label's samples were found, with Wilson's interval."""
        sizes, hits = self.true.sum(axis=0), (self.true & self.found).sum(axis=0)
        return {
            label: wilson(int(hits[k]), int(sizes[k]))
            for k, label in enumerate(self.labels)
            if sizes[k]
        }


def find_decisions(
    head: Head, targets: np.ndarray, scores: np.ndarray, labels: Sequence[str]
) -> tuple[Decisions | None, str]:
    """Returns the decisions of a model, or why there are none.

    What a sample is, the head's `membership` says. What it was taken for is its `decode`d label,
    encoded as the labels of DATA are.

    Args:
        head: the task.
        targets: as it encodes them.
        scores: as a model puts them out.
        labels: names of the outputs.

    Shapes: targets and scores (samples, outputs).

    Raises:
        ContractError: the head fails.
    """
    if not head.can_balance:
        return None, f"answers of head {head.name!r} are in no groups"
    with blame_head(head):
        answers = [found.label for found in head.decode(scores, labels)]
        try:
            true = head.membership(np.asarray(targets, np.float32))
            found = head.membership(np.asarray(head.encode(answers, labels), np.float32))
        except TfxferError as error:
            return None, str(error)
        names = _name_groups(head, np.asarray(targets), np.asarray(true) > 0, labels)
    return Decisions(names, np.asarray(true) > 0, np.asarray(found) > 0), ""


def mean_recall(decisions: Decisions) -> dict[str, float] | None:
    """Returns the mean of the labels' recalls with its interval; None without a positive.

    Each label's own interval says how far its recall may be off, and these distances are combined
    as those of independent figures are. An interval from the variance alone would take a label
    that is perfect on one sample for perfect.

    Source:
        Zou and Donner 2008, https://doi.org/10.1002/sim.3095, for a sum of independent figures.
    """
    recalls = list(decisions.recalls().values())
    if not recalls:
        return None
    count = len(recalls)
    value = sum(each["value"] for each in recalls) / count
    below = math.hypot(*(each["value"] - each["low"] for each in recalls)) / count
    above = math.hypot(*(each["high"] - each["value"] for each in recalls)) / count
    return describe(value, max(0.0, value - below), min(1.0, value + above))


def _name_groups(
    head: Head, targets: np.ndarray, true: np.ndarray, labels: Sequence[str]
) -> tuple[str, ...]:
    """Returns what to call each group: its output, or the label that one of its samples has."""
    if true.shape[1] == len(labels):
        return tuple(labels)
    names = []
    for number, members in enumerate(true.T):
        rows = np.flatnonzero(members)[:1]
        found = [x.label for x in head.decode(targets[rows], labels)] if rows.size else []
        names.append(found[0] if found else f"group {number}")
    return tuple(names)
