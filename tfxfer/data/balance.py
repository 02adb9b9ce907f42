"""What can be done about rare classes: heavier samples, or more of them."""

from __future__ import annotations

import numpy as np

from tfxfer.errors import UsageError
from tfxfer.system.arguments import check_word

__all__ = ["BALANCE_MODES", "class_weights", "oversampled_order", "sample_weights"]

BALANCE_MODES = ("none", "weights", "oversample")


def sample_weights(targets: np.ndarray, mode: str) -> np.ndarray | None:
    """Returns one loss weight per sample, or None where the mode weighs nothing.

    Raises:
        UsageError: no such mode.
    """
    check_word(mode, BALANCE_MODES, where="balance", name="mode")
    return class_weights(targets) if mode == "weights" else None


def class_weights(targets: np.ndarray) -> np.ndarray:
    """Returns weights with which every class that occurs counts the same in the mean loss.

    A sample with several labels gets the mean of what its labels deserve; one without any label
    counts as a class of its own.

    Shapes: targets (samples, outputs), one-hot or multi-hot; returns float32 (samples,), mean 1.

    Source:
        scikit-learn's `class_weight="balanced"`: samples / (classes * samples of the class).
    """
    hot = _membership(targets)
    counts = hot.sum(axis=0)
    per_class = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    weights = (hot @ per_class) / hot.sum(axis=1)
    return (weights / weights.mean()).astype(np.float32)


def oversampled_order(targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns as many indices as samples, drawn so that all classes come about equally often.

    Each class gets the same number of places; its samples take turns in a shuffled order, so that
    no sample comes a second time before all of its class came once.

    Shapes: targets (samples, outputs), one-hot or multi-hot; returns int64 (samples,).
    """
    hot = _membership(targets)
    present = np.flatnonzero(hot.sum(axis=0))
    total = len(hot)
    # The remainder goes to classes drawn at random, not always to the first ones.
    places = np.full(len(present), total // len(present))
    places[rng.permutation(len(present))[: total % len(present)]] += 1
    drawn = []
    for column, count in zip(present, places, strict=True):
        members = np.flatnonzero(hot[:, column])
        rounds = -(-int(count) // len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count])
    return rng.permutation(np.concatenate(drawn))


def _membership(targets: np.ndarray) -> np.ndarray:
    hot = np.asarray(targets, np.float64)
    if hot.ndim != 2 or not len(hot) or not np.isin(hot, (0.0, 1.0)).all():
        raise UsageError(
            "balance: expected one-hot or multi-hot targets, (samples, outputs). "
            f"Received: shape={hot.shape}. Numbers have no classes to balance."
        )
    unlabelled = hot.sum(axis=1, keepdims=True) == 0
    return np.hstack([hot, unlabelled])
