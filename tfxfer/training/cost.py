"""How long a training takes on a machine of given speeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfxfer.backbone import BACKBONE_END
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
        companions: samples of which each step has as many beside its own, where more than the head
            trains.
    """

    train: int
    val: int
    test: int
    batch_size: int
    companions: int = 0


def estimate_seconds(
    speeds: Speeds,
    shares: dict[str | None, float],
    phases: Sequence[Phase],
    *,
    views: int,
    work: Workload,
    size: int = 1,
) -> float:
    """Returns the expected seconds of caching, training and testing.

    Args:
        speeds: of this machine, at the size they were measured with.
        shares: of the network after each stage, from `macs_share`.
        phases: resolved.
        views: versions of each training sample that epochs draw among.
        work: how many samples.
        size: of the input that `speeds` were measured with; what a network computes grows with its
            square.
    """
    seconds = _START_SECONDS + speeds.trace_seconds * (1 + _TRACES_PER_PHASE * len(phases))
    steps = math.ceil(work.train / work.batch_size)
    held, trained = 0.0, 0.0  # views of each sample; the largest share that a phase has trained
    before = 0  # the size of the phase before; no phase has this one
    for phase in phases:
        area = ((phase.size or size) / size) ** 2
        each, forward = area * speeds.cache_seconds, area * speeds.forward_seconds
        wanted, share = min(phase.views or views, views), shares[_stage_of(phase)]
        if share < trained or before != (phase.size or size):
            held = 0.0  # they lie behind layers that are no longer what they were
        if before != (phase.size or size):
            before, trained = phase.size or size, 0.0
            seconds += work.val * (speeds.view_seconds + (1 - share) * each)
        trained = max(trained, share)
        # Each epoch draws one with replacement, and only what is drawn is computed.
        drawn = 1 - (1 - 1 / wanted) ** phase.epochs
        missing = max(0.0, wanted - held) * drawn
        made = missing * (speeds.view_seconds + (1 - share) * each)
        seconds += work.train * (made + min(1.0, missing) * speeds.read_seconds)
        held += missing
        trained_on = work.train
        if work.companions and phase.stage != BACKBONE_END:
            trained_on *= 2
            # So many draws of all their views leave this share of them out.
            room = work.companions * wanted
            new = room * (1 - math.exp(-phase.epochs * work.train / room))
            seconds += new * (speeds.view_seconds + (1 - share) * each)
            seconds += min(work.companions, new) * speeds.read_seconds
        seconds += phase.epochs * (
            share * forward * (trained_on * _STEP_PASSES + work.val) + steps * _HEAD_STEP_SECONDS
        )
    # The test, and the validation split once more.
    return seconds + (work.test + work.val) * (speeds.read_seconds + speeds.forward_seconds)


def _stage_of(phase: Phase) -> str | None:
    return None if phase.stage is None else str(phase.stage)
