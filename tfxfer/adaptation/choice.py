"""Which adaptation to keep, decided without a label of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.adaptation.agreement import (
    count_answers,
    find_neighbours,
    measure_agreement,
    measure_gain,
)
from tfxfer.adaptation.linear_head import LINEAR_METHODS, LinearHead, fit_linear_head
from tfxfer.adaptation.record import Method, Trial
from tfxfer.errors import DataError
from tfxfer.progress import Progress

__all__ = ["FEWEST_SAMPLES", "LEAST_GAIN", "Choice", "choose_adaptation", "choose_trial"]

FEWEST_SAMPLES = 20
"""Of a target, below which nothing is learnt of its look."""

LEAST_GAIN = 0.1
"""Bits by which neighbours must surely agree more, before `auto` changes a model.

Chosen by what was seen: between three halvings of one set of flowers, where there is nothing to
adapt to, the lower end of self-training's gain was 0.00 to 0.07, and accuracy fell by a point; on
twelve pairs of looks of pacs3 it was 0.25 or more.
"""


@dataclass(frozen=True, eq=False)
class Choice:
    """What is to become of the last layer.

    Args:
        method: that is kept.
        head: the layer; None where it stays as it is.
        answers: the target's, of the model that is kept.
        trials: what was judged, the best first.

    Shapes: answers (samples, classes).
    """

    method: Method
    head: LinearHead | None
    answers: np.ndarray
    trials: tuple[Trial, ...]


def choose_adaptation(
    source: np.ndarray,
    classes: np.ndarray,
    target: np.ndarray,
    before: np.ndarray,
    *,
    asked: str = "auto",
    others: Mapping[Method, np.ndarray] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Choice:
    """Returns the adaptation to keep.

    Args:
        source: pooled features of labelled samples.
        classes: their labels.
        target: pooled features of the other look.
        before: what the model as it was trained says of the target.
        asked: a method, which is then kept whatever is found of it; or `auto`, which keeps the one
            under which neighbours agree the most, if that is surely more than before, by
            `LEAST_GAIN`.
        others: what the model says of the target where more than its last layer is another; kept
            by name, as nothing is known here of how.
        seed: of the intervals.
        progress: told of methods done.

    Shapes: source and target (samples, features), classes one-hot (samples, classes), before and
        others (samples, classes).

    Raises:
        DataError: too few samples of the target, or labels of fewer than two classes.
    """
    if len(target) < FEWEST_SAMPLES:
        raise DataError(
            f"target: expected {FEWEST_SAMPLES} samples or more, to learn their look from. "
            f"Received: {len(target)}. Add samples; they need no labels."
        )
    count = classes.shape[1]
    neighbours = find_neighbours(target)
    given = dict(others or {})
    tried = [name for name in LINEAR_METHODS if asked in ("auto", name)]
    heads: dict[Method, LinearHead] = {}
    for number, name in enumerate(tried):
        if progress is not None:
            progress("adapting to the target", number, len(tried))
        heads[name] = fit_linear_head(name, source, classes, target)
    if progress is not None:
        progress("adapting to the target", len(tried), len(tried))
    answers: dict[Method, np.ndarray] = {"none": before, **given}
    answers |= {name: head.score(target) for name, head in heads.items()}
    trials = []
    for method in answers:
        mine, first = answers[method].argmax(axis=1), before.argmax(axis=1)
        gain = measure_gain(first, mine, neighbours, classes=count, seed=seed)
        pairs = count_answers(mine, neighbours, count)
        trials.append(Trial(method, measure_agreement(pairs), gain))
    trials.sort(key=lambda trial: -trial.agreement)
    kept = choose_trial(trials) if asked == "auto" else next(iter((*tried, *given)))
    return Choice(kept, heads.get(kept), answers[kept], tuple(trials))


def choose_trial(trials: Sequence[Trial]) -> Method:
    """Returns the method under which neighbours agree the most, or `none`.

    Example:
        >>> from tfxfer.trust.estimate import Estimate
        >>> sure, unsure = Estimate(0.2, 0.15, 0.3), Estimate(0.3, -0.1, 0.7)
        >>> choose_trial([Trial("coral", 0.8, unsure), Trial("self_training", 0.7, sure)])
        'self_training'
        >>> choose_trial([Trial("coral", 0.8, unsure)])
        'none'
    """
    better = [x for x in trials if x.gain is not None and x.gain.low > LEAST_GAIN]
    return max(better, key=lambda trial: trial.agreement).method if better else "none"
