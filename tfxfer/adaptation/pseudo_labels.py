"""What of the target's pseudo-labels is learnt while the network trains."""

from __future__ import annotations

import numpy as np

from tfxfer.adaptation.linear_head import fit_self_training

__all__ = ["SURE_SHARE", "choose_lessons"]

SURE_SHARE = 2 / 3
"""Of the samples of each class as it is found: the surest, which are learnt."""


def choose_lessons(
    source: np.ndarray, classes: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns soft labels of the target, and which of them are sure enough to be learnt.

    Labels are what self-training says, at its own temperature, of features that no training has
    changed. Of each class the surest are taken, and not whatever is surer than some number: classes
    that are hard would have none.

    Args:
        source: pooled features of the labelled look.
        classes: its labels.
        target: pooled features of the other look.

    Shapes: source and target (samples, features), classes one-hot (samples, classes); returns
        (samples, classes) and float32 (samples,), 1 or 0.

    Source:
        The surest of each class: Zou et al. 2018, https://arxiv.org/abs/1810.07911.
    """
    first, second = (np.asarray(x, np.float64) for x in (source, target))
    labels = fit_self_training(first, np.asarray(classes, np.float64), second).score(second)
    numbers, sureness = labels.argmax(axis=1), labels.max(axis=1)
    weights = np.zeros(len(labels), np.float32)
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        count = max(1, round(SURE_SHARE * len(rows)))
        weights[rows[np.argsort(-sureness[rows], kind="stable")[:count]]] = 1
    return labels, weights
