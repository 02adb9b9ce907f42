"""What `--adapt` and `--adapt-strength` may be asked for together with."""

from __future__ import annotations

import math

from tfxfer.adaptation.methods import TRAINED
from tfxfer.errors import UsageError

__all__ = ["check_adaptation"]


def check_adaptation(
    *, adapt: str | None, strength: float | None, target: str | None, schedule: str
) -> None:
    """Refuses what cannot be meant, before anything is read.

    Args:
        adapt: method.
        strength: of its penalty.
        target: folder of the samples to adapt to.
        schedule: of the training.

    Raises:
        UsageError: a method without a target, one that has nothing to train, or a strength that is
            none.
    """
    if target is None and (adapt is not None or strength is not None):
        raise UsageError(
            "training: expected --adapt with the samples to adapt to. "
            f"Received: adapt={adapt!r} alone. Name their folder: --target FOLDER"
        )
    if adapt in TRAINED and schedule == "head":
        raise UsageError(
            f"training: expected --adapt {adapt} with a schedule that trains more than the head, "
            "whose features stay what they are. Received: --schedule head. Leave one of them out."
        )
    if strength is None:
        return
    if adapt not in TRAINED:
        raise UsageError(
            "training: expected --adapt-strength with a method that works while the network "
            f"trains: {', '.join(TRAINED)}. Received: adapt={adapt!r}. Leave it out."
        )
    if not (math.isfinite(strength) and strength > 0):
        raise UsageError(f"training: expected an --adapt-strength above 0. Received: {strength!r}.")
