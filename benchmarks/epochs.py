"""How long each epoch of a training takes, and from a few of them all."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Timed", "extrapolate", "time_epochs"]


@dataclass(frozen=True)
class Timed:
    """How long a training took.

    Args:
        seconds: of each epoch; the first of a phase holds everything before it.
        phases: epochs that each phase ran.
    """

    seconds: list[float]
    phases: list[int]


def time_epochs(
    data: Any,
    schedule: Any,
    *,
    backbone: str = "efficientnet_lite0",
    size: int | None = None,
    weights: str | None = "default",
    **options: Any,
) -> Timed:
    """Trains a model, and returns how long each epoch took.

    Args:
        data: of `tfxfer.load_images`, or of `tfxfer.load_samples`.
        schedule: of `tfxfer.fit`.
        backbone: its name.
        size: of the input; None is the backbone's own.
        weights: of the backbone; None is random ones.
        **options: of `tfxfer.fit`.
    """
    import keras

    import tfxfer

    keras.backend.clear_session()
    ends = [time.perf_counter()]
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )
    model = tfxfer.build_model(
        backbone, labels=data.labels, size=size, weights=weights, targets=data.train.targets
    )
    history = tfxfer.fit(model, data, schedule=schedule, verbose=0, callbacks=[clock], **options)
    return Timed(
        [end - start for start, end in itertools.pairwise(ends)],
        [record.epochs for record in history.state.records],
    )


def extrapolate(timed: Timed, epochs: Sequence[int]) -> float:
    """Returns the seconds of a training with more epochs, which are alike after a phase's first.

    Args:
        timed: a training with two epochs or more in each phase.
        epochs: how many each phase is to have.
    """
    total, rest = 0.0, list(timed.seconds)
    for ran, wanted in zip(timed.phases, epochs, strict=True):
        first, *later = rest[:ran]
        total += first + (wanted - 1) * statistics.median(later)
        rest = rest[ran:]
    return total
