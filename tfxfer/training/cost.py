"""How long a training takes on a machine of given speeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfxfer.schedule import Phase
from tfxfer.training.speeds import Speeds

__all__ = ["Workload", "estimate_seconds"]

# Measured with EfficientNet-Lite0 at 224 px on 2 cores: a training step of the part after the
# frontier takes this many forward passes of that part.
_STEP_PASSES = 2.2
_TRACES_PER_PHASE = 2.5  # of a forward pass of the whole network: what follows the frontier, back
_START_SECONDS = 2.0  # the interpreters, and files
_HEAD_STEP_SECONDS = 0.004  # a batch through a cached head


@dataclass(frozen=True)
class Workload:
    """How much there is to do.

    Args:
        train: samples.
        val: samples.
        test: samples.
        batch_size: samples a step.
    """

    train: int
    val: int
    test: int
    batch_size: int


def estimate_seconds(
    speeds: Speeds,
    shares: dict[str | None, float],
    phases: Sequence[Phase],
    *,
    views: int,
    work: Workload,
    area: float = 1.0,
) -> float:
    """Returns the expected seconds of caching, training and testing.

    Args:
        speeds: of this machine, at the size they were measured with.
        shares: of the network after each stage, from `macs_share`.
        phases: resolved.
        views: versions of each training sample that epochs draw among.
        work: how many samples.
        area: of the input, in that of the size that `speeds` were measured with.
    """
    each, forward = area * speeds.cache_seconds, area * speeds.forward_seconds
    seconds = _START_SECONDS + speeds.trace_seconds * (1 + _TRACES_PER_PHASE * len(phases))
    seconds += work.val * (speeds.view_seconds + each)
    held, trained = 0.0, 0.0  # views of each sample; the largest share that a phase has trained
    for phase in phases:
        wanted, share = min(phase.views or views, views), shares[_stage_of(phase)]
        if share < trained:
            held = 0.0  # they lie behind layers that are no longer what they were
        trained = max(trained, share)
        # Each epoch draws one with replacement, and only what is drawn is computed.
        drawn = 1 - (1 - 1 / wanted) ** phase.epochs
        missing = max(0.0, wanted - held) * drawn
        made = missing * (speeds.view_seconds + (1 - share) * each)
        seconds += work.train * (made + min(1.0, missing) * speeds.read_seconds)
        held += missing
    seconds += (work.val + 2 * work.test) * speeds.read_seconds
    for phase in phases:
        through = forward * shares[_stage_of(phase)]
        steps = math.ceil(work.train / work.batch_size)
        seconds += phase.epochs * (
            work.train * through * _STEP_PASSES + work.val * through + steps * _HEAD_STEP_SECONDS
        )
    return seconds + (work.test + work.val) * forward


def _stage_of(phase: Phase) -> str | None:
    return None if phase.stage is None else str(phase.stage)
