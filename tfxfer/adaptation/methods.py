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
    "deep_coral": TrainedMethod("features of both looks get one covariance", 10.0),
    "mmd": TrainedMethod("features of both looks get one distribution, by a kernel", 1.0),
    "dann": TrainedMethod("no small network can tell both looks apart by their features", 1.0),
    "pseudo_labels": TrainedMethod(
        "what self-training says of the target is learnt, where it is sure", 1.0
    ),
}
"""By the words of `--adapt`.

Sun and Saenko 2016 choose a strength by which both losses are about equal in the end. Two batches
of 32 of pacs3, of EfficientNet-Lite0's features as they came, are 0.02 apart (0.018 where both are
of one look), so that 10 makes it 0.2. Long et al. 2015 try 0.1 to 2 around 1, and Ganin et al. 2016
have 1. No measurement of ours has chosen one.
"""
