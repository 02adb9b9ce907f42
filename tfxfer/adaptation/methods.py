"""The ways to learn of another look while the network trains, as data: no Keras.

`--adapt` takes others, too, that follow the training: see `record.METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["TRAINED", "TrainedMethod"]


@dataclass(frozen=True)
class TrainedMethod:
    """One penalty on the difference between two looks, or one use of the target's pseudo-labels.

    Args:
        words: what it does, for people.
        strength: what it is multiplied by where nobody says.
    """

    words: str
    strength: float


TRAINED: Mapping[str, TrainedMethod] = {
    "deep_coral": TrainedMethod("features of both looks get one covariance", 1.0),
    "mmd": TrainedMethod("features of both looks get one distribution, by a kernel", 1.0),
    "dann": TrainedMethod("no small network can tell both looks apart by their features", 1.0),
    "pseudo_labels": TrainedMethod(
        "what self-training says of the target is learnt, where it is sure", 1.0
    ),
}
"""By the words of `--adapt`."""
