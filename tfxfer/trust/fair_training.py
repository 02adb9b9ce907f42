"""Groups brought closer together: which penalty does it, and what it costs.

The head is trained again with stronger and stronger penalties on the gap (see
`tfxfer.training.fair_head`). The one is kept that leaves the smallest gap on the validation split,
of those that cost no more there than is allowed; none, where none is better than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.balance import sample_weights
from tfxfer.errors import DataError, UsageError
from tfxfer.evaluation.pairs import paired_difference
from tfxfer.evaluation.ratios import divide
from tfxfer.evaluation.scoring import score_predictions
from tfxfer.inference.embedding import embed
from tfxfer.stages import get_info
from tfxfer.training.fair_head import FairHead
from tfxfer.trust.estimate import Estimate
from tfxfer.trust.fair_record import MOST_COST, Effect, FairTraining, Rung, choose_rung
from tfxfer.trust.fairness import Criterion, Gap, find_gaps
from tfxfer.trust.groups import Grouping, group_samples
from tfxfer.trust.rates import find_decisions

if TYPE_CHECKING:
    from tfxfer.data.samples import SampleData, SampleSplit
    from tfxfer.head import Head
    from tfxfer.progress import Progress

__all__ = ["STRENGTHS", "check_fair", "find_score_gap", "train_fairly"]

STRENGTHS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What the penalty is multiplied by; 0 is the head trained again without one."""

FEWEST = 5
"""Samples of a group below which it takes part in no choice: validation splits are small."""

_PARTS: Mapping[Criterion, tuple[str, ...]] = {
    "equal_opportunity": ("positives",),
    "equalized_odds": ("positives", "negatives"),
    "demographic_parity": ("all",),
}


def check_fair(data: SampleData, head: Head, column: str) -> tuple[Grouping, Grouping, Grouping]:
    """Returns the groups of train, val and test; refuses what cannot be trained fairly.

    Raises:
        DataError: a column that cannot be grouped, or of which a split has fewer than two groups.
        UsageError: a head whose outputs are not the labels that a sample may be.
    """
    parts = (data.train, data.val, data.test)
    cells = [cell for part in parts for cell in part.slices.get(column, ("",) * len(part))]
    everything = group_samples(column, cells)
    groupings, start = [], 0
    for part in parts:
        numbers = everything.numbers[start : start + len(part)]
        start += len(part)
        grouping = Grouping(column, everything.names, numbers, everything.is_binned)
        large = sum(size >= FEWEST for size in grouping.list_sizes())
        if large < 2:
            raise DataError(
                f"--fair: expected two groups of {column} with {FEWEST} {part.modality.plural} or "
                f"more in {part.name}. Received: {large}. Add {part.modality.plural}, or choose "
                "another column."
            )
        groupings.append(grouping)
    targets = data.train.targets
    fits = head.can_balance and head.membership(targets).shape == targets.shape
    if not fits or not np.isin(targets, (0, 1)).all():
        raise UsageError(
            "--fair: expected a head with an output for each label that a sample may be. "
            f"Received: {head.name!r}."
        )
    train, val, test = groupings
    return train, val, test


def train_fairly(
    model: Any,
    data: SampleData,
    *,
    column: str,
    criterion: Criterion,
    balance: str = "none",
    strengths: Sequence[float] = STRENGTHS,
    most_cost: float = MOST_COST,
    seed: int = 0,
    progress: Progress | None = None,
) -> FairTraining:
    """Trains the head of a trained model again, so that groups are treated more alike.

    Args:
        model: from `build_model`, trained; its head changes.
        data: its samples.
        column: whose groups, of `data`'s slices.
        criterion: `equal_opportunity`, `equalized_odds` or `demographic_parity`.
        balance: whether rare labels weigh more: `none`, or another word of `BALANCE_MODES`.
        strengths: of the penalty, the weakest first.
        most_cost: points of the headline that may be lost on the validation split.
        seed: of the training and of the intervals.
        progress: told of samples and strengths done.

    Raises:
        DataError, UsageError: see `check_fair`.
    """
    info = get_info(model)
    groupings = check_fair(data, info.head, column)
    splits = (data.train, data.val, data.test)
    # Train, val and test follow one another.
    everything = embed(model, data, progress=progress)
    features = np.split(everything, np.cumsum([len(split) for split in splits])[:-1])
    groups = [_encode(grouping) for grouping in groupings]
    weights = None if balance == "none" else sample_weights(data.train.targets, "weights")
    train, val = (
        (features[k], np.asarray(splits[k].targets, np.float32), groups[k]) for k in range(2)
    )
    head = FairHead(model, train, val, _PARTS[criterion], weights, seed)
    judges = [
        _Judge(split, grouping, info.head, info.labels, criterion, seed)
        for split, grouping in zip(splits[1:], groupings[1:], strict=True)
    ]
    before = [head.score(features[k]) for k in (1, 2)]
    own = head.read_weights()
    rungs, kept = [], {}
    for number, strength in enumerate(strengths):
        if progress is not None:
            progress("trying penalties on the gap", number, len(strengths))
        # Each goes on from the weaker one before it.
        head.fit(strength)
        kept[strength] = head.read_weights()
        rungs.append(judges[0].try_strength(strength, before[0], head.score(features[1])))
    if progress is not None:
        progress("trying penalties on the gap", len(strengths), len(strengths))
    unchanged = judges[0].try_strength(0.0, before[0], before[0])
    chosen = choose_rung(rungs, before=unchanged, most_cost=most_cost)
    head.write_weights(own if chosen is None else kept[chosen.strength])
    effects = [
        judge.compare(scores, head.score(features[k + 1]))
        for k, (judge, scores) in enumerate(zip(judges, before, strict=True))
    ]
    return FairTraining(
        criterion,
        column,
        groupings[0].names,
        judges[0].name_headline(before[0]),
        None if chosen is None else chosen.strength,
        tuple(rungs),
        *effects,
    )


@dataclass(frozen=True, eq=False)
class _Judge:
    """Measures scores of one split."""

    split: SampleSplit
    grouping: Grouping
    head: Head
    labels: tuple[str, ...]
    criterion: Criterion
    seed: int

    def measure(self, scores: np.ndarray) -> dict[str, Any]:
        return score_predictions(
            self.split.targets, scores, head=self.head, labels=self.labels, seed=self.seed
        )

    def name_headline(self, scores: np.ndarray) -> str:
        return str(self.measure(scores)["headline"])

    def find_gap(self, scores: np.ndarray, *, resamples: int = 1000) -> Gap | None:
        decisions, _ = find_decisions(self.head, self.split.targets, scores, self.labels)
        assert decisions is not None
        found = find_gaps(
            decisions, self.grouping, least=FEWEST, resamples=resamples, seed=self.seed
        )
        return found.gaps.get(self.criterion)

    def measure_gap(self, scores: np.ndarray) -> float | None:
        gap = self.find_gap(scores, resamples=10)
        return None if gap is None else gap.value

    def find_cost(self, before: np.ndarray, after: np.ndarray) -> Estimate:
        return Estimate.of(
            paired_difference(
                self.split.targets,
                before,
                after,
                head=self.head,
                labels=self.labels,
                seed=self.seed,
            )
        )

    def try_strength(self, strength: float, before: np.ndarray, after: np.ndarray) -> Rung:
        document = self.measure(after)
        headline = float(document[document["headline"]]["value"])
        cost = self.find_cost(before, after).value
        score_gap = find_score_gap(after, self.split.targets, self.grouping, _PARTS[self.criterion])
        return Rung(strength, headline, self.measure_gap(after), score_gap, cost)

    def compare(self, before: np.ndarray, after: np.ndarray) -> Effect:
        first, second = self.measure(before), self.measure(after)
        return Effect(
            len(self.split),
            Estimate.of(first[first["headline"]]),
            Estimate.of(second[second["headline"]]),
            self.find_cost(before, after),
            self.find_gap(before),
            self.find_gap(after),
        )


def find_score_gap(
    scores: np.ndarray, targets: np.ndarray, grouping: Grouping, parts: Sequence[str]
) -> float:
    """Returns the largest difference between groups in the mean score of a label.

    Args:
        scores: of a model.
        targets: 0 and 1, an output for each label.
        grouping: which group each sample is in.
        parts: which samples are compared: `positives`, `negatives` or `all`.

    Shapes: scores and targets (samples, outputs).
    """
    groups = _encode(grouping).astype(np.float64)
    masks = {"positives": targets, "negatives": 1 - targets, "all": np.ones_like(targets)}
    gaps = [0.0]
    for part in parts:
        counts = groups.T @ masks[part]
        means = divide(groups.T @ (masks[part] * scores), counts)
        # Few samples have a mean of their own that says little.
        known = counts >= FEWEST
        high = np.where(known, means, -np.inf).max(axis=0)
        low = np.where(known, means, np.inf).min(axis=0)
        gaps += (high - low)[known.sum(axis=0) > 1].tolist()
    return float(max(gaps))


def _encode(grouping: Grouping) -> np.ndarray:
    """Returns one-hot groups; all zeros of a sample in none."""
    table = np.vstack([np.eye(len(grouping.names)), np.zeros(len(grouping.names))])
    return table[grouping.numbers].astype(np.float32)
