"""How much likelier a sample is in the target than in the source: what training on it is worth.

Where the answer to a sample is the same in both, and only how often it comes is not (covariate
shift), the mean loss over the source, each sample weighted by p(target) / p(source), is the mean
loss over the target. A classifier that tells the two apart knows that ratio.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.errors import DataError
from tfxfer.trust.probe import draw_folds, predict_out_of_fold

__all__ = [
    "FEWEST_SAMPLES",
    "MOST_RATIO",
    "Ratios",
    "count_effective",
    "estimate_ratios",
    "find_ratios",
]

MOST_RATIO = 10.0
"""Up to which a ratio is believed: beyond it, one sample would stand for ten.

Weights without a bound have a variance without one where the target has samples that the source all
but lacks. Source: Ionides 2008, https://doi.org/10.1198/106186008X320456, truncates them; ten is
ours.
"""

FEWEST_SAMPLES = 20
"""Of each side, below which no classifier says anything of it."""

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
# Of a probe, see `DEFAULT_STRENGTH`: from all but nothing to what tells classes apart.

_SHARE_FLOOR = 1e-6  # of a probability, before it is divided by


@dataclass(frozen=True, eq=False)
class Ratios:
    """What a domain classifier says of the source's samples.

    Args:
        weights: of each, with mean 1.
        effective: how many samples of weight 1 they are worth, see `count_effective`.
        clipped: share of the samples whose ratio was above `MOST_RATIO`.
        separation: how often a sample of the target looks more like the target than one of the
            source does, .5 by chance: the area under the classifier's ROC curve.
        strength: of the classifier that was chosen; 0 where none was surely better than knowing
            nothing, and all weights are 1.
    """

    weights: np.ndarray
    effective: float
    clipped: float
    separation: float
    strength: float


def estimate_ratios(
    source: np.ndarray,
    target: np.ndarray,
    *,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> Ratios:
    """Returns how much each sample of the source counts, so that all of them stand for the target.

    Logistic regression tells the sides apart; each sample is judged by one that has not seen it. Of
    several penalties the strongest is taken whose log loss, out of fold, is within one standard
    error of the lowest; knowing nothing at all is one of them.

    Args:
        source: features of the samples that are learnt from.
        target: features of those that count.
        seed: of the folds.
        groups: of the source's samples: those that share one, such as near copies, are judged by
            one classifier; None is every sample on its own.

    Shapes: source and target (samples, features).

    Raises:
        DataError: fewer than `FEWEST_SAMPLES` on a side, or features of other shapes.

    Source:
        Bickel, Brückner and Scheffer 2009, https://www.jmlr.org/papers/v10/bickel09a.html, section
        3, for the ratio of a classifier's answers; Sugiyama, Krauledat and Müller 2007,
        https://www.jmlr.org/papers/v8/sugiyama07a.html, for training with them; Hastie, Tibshirani
        and Friedman 2009, section 7.10, for the rule of one standard error.
    """
    source, target = np.asarray(source), np.asarray(target)
    sizes = len(source), len(target)
    if min(sizes) < FEWEST_SAMPLES:
        raise DataError(
            f"density ratios: expected {FEWEST_SAMPLES} samples or more on each side. Received: "
            f"{sizes[0]:,} to learn from and {sizes[1]:,} of the target. Add samples."
        )
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise DataError(
            "density ratios: expected two arrays (samples, features) with as many columns. "
            f"Received: shapes={source.shape}, {target.shape}."
        )
    both = np.concatenate([source, target]).astype(np.float64)
    sides = np.repeat([0, 1], sizes)
    names = None
    if groups is not None:
        names = [*((0, name) for name in groups), *((1, number) for number in range(sizes[1]))]
    # A fold's own shares, as a classifier that knows nothing would answer.
    losses, answers = [_lose(_answer_shares(sides, seed, names), sides)], [np.zeros(0)]
    for strength in _STRENGTHS:
        found = predict_out_of_fold(both, sides, seed=seed, groups=names, strength=strength)[:, 1]
        losses.append(_lose(found, sides))
        answers.append(found)
    number = _choose(np.array(losses))
    if number == 0:
        return Ratios(np.ones(sizes[0], np.float32), float(sizes[0]), 0.0, 0.5, 0.0)
    shares = answers[number]
    ratios = find_ratios(shares[: sizes[0]], *sizes)
    weights = np.minimum(ratios, MOST_RATIO)
    weights = weights / weights.mean()
    return Ratios(
        weights.astype(np.float32),
        count_effective(weights),
        float((ratios > MOST_RATIO).mean()),
        _measure_separation(shares[: sizes[0]], shares[sizes[0] :]),
        _STRENGTHS[number - 1],
    )


def find_ratios(shares: np.ndarray, source: int, target: int) -> np.ndarray:
    """Returns p(target) / p(source) of samples, from the probabilities of a domain classifier.

    Args:
        shares: probability of the target.
        source: how many samples of the source the classifier learnt from, in proportion.
        target: how many of the target.

    Shapes: (samples,), both.

    Example:
        >>> find_ratios(np.array([0.2, 0.5]), 300, 100).tolist()
        [0.75, 3.0]
    """
    held = np.clip(shares, _SHARE_FLOOR, 1 - _SHARE_FLOOR)
    found: np.ndarray = held / (1 - held) * (source / target)
    return found


def count_effective(weights: np.ndarray) -> float:
    """Returns how many samples of equal weight an average with these weights is worth.

    (Σw)² / Σw²: all of them where weights are equal, one where one weight is all there is.

    Shapes: (samples,).

    Source:
        Kong 1992, "A note on importance sampling using standardized weights", University of
        Chicago, Technical Report 348.

    Example:
        >>> count_effective(np.ones(8)), count_effective(np.array([3.0, 1.0]))
        (8.0, 1.6)
    """
    return float(weights.sum()) ** 2 / float((weights**2).sum())


def _answer_shares(sides: np.ndarray, seed: int, names: Sequence[Hashable] | None) -> np.ndarray:
    folds = draw_folds(sides, seed=seed, groups=names)
    found = np.empty(len(sides))
    for fold in np.unique(folds):
        found[folds == fold] = sides[folds != fold].mean()
    return found


def _lose(shares: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Returns the log loss of each answer.

    Shapes: (samples,), all.
    """
    held = np.clip(shares, _SHARE_FLOOR, 1 - _SHARE_FLOOR)
    return -np.log(np.where(sides == 1, held, 1 - held))


def _choose(losses: np.ndarray) -> int:
    """Returns the first row that is not surely worse than the best one.

    Shapes: (classifiers, samples), the most penalised first.
    """
    best = losses[int(np.argmin(losses.mean(axis=1)))]
    # Paired by sample: what they share says nothing of which is better.
    more = losses - best
    errors = more.std(axis=1) / np.sqrt(losses.shape[1])
    return int((more.mean(axis=1) <= errors).argmax())


def _measure_separation(source: np.ndarray, target: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    sides = np.repeat([0, 1], [len(source), len(target)])
    return float(roc_auc_score(sides, np.concatenate([source, target])))
