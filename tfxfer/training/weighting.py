"""How much each training sample counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfxfer.data.balance import sample_weights
from tfxfer.data.feed import SampleSource
from tfxfer.errors import UsageError
from tfxfer.head import Head

__all__ = ["Balance", "choose_balance"]


@dataclass(frozen=True, eq=False)
class Balance:
    """How much each training sample counts.

    Args:
        weights: of its loss, (samples,); None where all are equal.
        oversampled: 0 and 1, (samples, groups): rare groups are drawn more often, such as classes,
            or where samples are from; None draws each sample once an epoch.
        by_target: weights of its class alone, by the bytes of its targets.
    """

    weights: np.ndarray | None = None
    oversampled: np.ndarray | None = None
    by_target: Mapping[bytes, float] | None = None

    def weigh(self, targets: np.ndarray, own: np.ndarray | None) -> np.ndarray | None:
        """Returns the weights of samples by their targets, times their own.

        Shapes: targets (samples, outputs); own (samples,).
        """
        if self.by_target is None:
            return own
        # A combination that the first pass did not meet has no weight of its own.
        found = [self.by_target.get(row.tobytes(), 1.0) for row in targets]
        weights = np.array(found, np.float32)
        return weights if own is None else weights * own


def choose_balance(
    balance: str,
    class_weight: Mapping[int | str, float] | None,
    *,
    head: Head,
    labels: Sequence[str],
    train: SampleSource,
) -> Balance:
    """Returns how much each training sample counts.

    Args:
        balance: `none`, `weights` or `oversample`.
        class_weight: by the number or the label of a class; those left out count 1.
        head: says which groups there are.
        labels: of the outputs.
        train: samples with targets and weights of their own, which multiply.

    Raises:
        UsageError: no such balance, both of them, or weights that cannot be meant.
    """
    own, drawn = train.sample_weights, _group_domains(train)
    if drawn is not None and balance == "oversample":
        raise UsageError(
            "fit: expected balance='weights' of samples that are drawn by their domains. "
            "Received: balance='oversample', which draws them by their labels."
        )
    if class_weight is not None:
        if balance != "none":
            raise UsageError(
                f"fit: expected balance or class_weight. Received: both, balance={balance!r}."
            )
        weights = _weigh_classes(class_weight, head, labels, train.targets)
    elif balance == "none":
        return Balance(own, drawn)
    else:
        groups = head.membership(train.targets)
        if balance == "oversample":
            return Balance(own, groups)
        found = sample_weights(groups, balance)
        assert found is not None
        weights = found
    rows = (row.tobytes() for row in train.targets)
    by_target = dict(zip(rows, weights.tolist(), strict=True))
    return Balance(weights if own is None else weights * own, drawn, by_target)


def _group_domains(train: SampleSource) -> np.ndarray | None:
    """Returns 0 and 1, (samples, domains), where as many samples are drawn of each."""
    if train.domains is None:
        return None
    return (train.domains[:, None] == np.unique(train.domains)).astype(np.float32)


def _weigh_classes(
    class_weight: Mapping[int | str, float],
    head: Head,
    labels: Sequence[str],
    targets: np.ndarray,
) -> np.ndarray:
    if not isinstance(class_weight, Mapping):
        raise UsageError(
            "fit: expected class_weight as {class: weight}, such as {0: 1.0, 1: 5.0}. "
            f'Received: class_weight={class_weight!r}. balance="weights" weighs rare ones more.'
        )
    one_hot = targets.ndim == 2 and targets.shape[1] > 1 and head.can_balance
    if not one_hot or not (np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()):
        raise UsageError(
            "fit: expected class_weight for samples of one class each. Received: targets of head "
            f"{head.name!r}, shape={targets.shape}. Weigh samples yourself: (inputs, targets, "
            "weights)."
        )
    names = {name: number for number, name in enumerate(labels)}
    weights = np.ones(targets.shape[1], np.float32)
    for key, weight in class_weight.items():
        number = names.get(key) if isinstance(key, str) else int(key)
        if number is None or not 0 <= number < len(weights):
            raise UsageError(
                f"fit: expected classes 0 to {len(weights) - 1} in class_weight, or their labels, "
                f"{', '.join(map(repr, labels[:10])) or 'of which there are none'}. "
                f"Received: {key!r}."
            )
        if not (math.isfinite(weight) and weight >= 0):
            raise UsageError(
                "fit: expected finite weights of at least 0 in class_weight. "
                f"Received: {key!r}: {weight!r}."
            )
        weights[number] = weight
    found: np.ndarray = weights[targets.argmax(axis=1)]
    return found
