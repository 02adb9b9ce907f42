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
    "deep_coral": TrainedMethod("features of both looks get one covariance", 0.1),
    "mmd": TrainedMethod("features of both looks get one distribution, by a kernel", 1.0),
    "dann": TrainedMethod("no small network can tell both looks apart by their features", 0.1),
    "pseudo_labels": TrainedMethod(
        "what self-training says of the target is learnt, where it is sure", 1.0
    ),
}
"""By the words of `--adapt`.

Of `mmd` Long et al. 2015 try 0.1 to 2, around 1. What the papers have for `deep_coral` and `dann`
comes to 10 and 1 here, which lost nearly always between the looks of pacs3. With 0.1 the adversary
gained a point and the covariance did little: docs/adaptation.md.
"""
