"""How long a training takes on this machine, and which one fits a budget."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.arrays import count_rows, map_arrays
from tfxfer.data.feed import SplitSource
from tfxfer.errors import UsageError
from tfxfer.schedule import Phase, two_phase
from tfxfer.stages import get_info, layers_up_to

__all__ = [
    "BudgetedSchedule",
    "Speeds",
    "choose_schedule",
    "estimate_seconds",
    "macs_share",
    "probe_speeds",
]

# Measured with EfficientNet-Lite0 at 224 px on 2 cores: a forward pass through Keras takes at least
# this many times what LiteRT takes, and a training step of the part after the frontier this many
# forward passes of that part.
_LITERT_GAIN = 2.0
_STEP_PASSES = 2.2
_START_SECONDS = 6.0  # conversion of the prefix, and one trace per phase
_HEAD_STEP_SECONDS = 0.004  # a batch through a cached head
_SAFETY = 1.1  # a budget is kept by planning for a slower machine

# Views, frontier, epochs of the head and of the rest. More of each comes first. The fourth line is
# the default. On flowers5 it gave -0.5, 0.3 and 0.9 points more than 4 views and 12 epochs. The
# other lines are in between by judgement, not by measurement.
_LADDER: tuple[tuple[int, float | None, int, int], ...] = (
    (8, 0.5, 30, 20),
    (8, 0.6, 30, 16),
    (8, 0.7, 30, 12),
    (8, 0.7, 30, 8),
    (4, 0.7, 30, 8),
    (3, 0.7, 30, 6),
    (2, 0.8, 30, 6),
    (2, 0.8, 30, 4),
    (2, None, 30, 0),
    (1, None, 30, 0),
    (1, None, 3, 0),
)


@dataclass(frozen=True)
class Speeds:
    """What one sample costs on this machine.

    Args:
        read_seconds: reading a sample.
        view_seconds: making one augmented view of it.
        forward_seconds: one sample through the whole network, forward, through Keras.
    """

    read_seconds: float
    view_seconds: float
    forward_seconds: float


@dataclass(frozen=True)
class BudgetedSchedule:
    """A schedule that fits a budget.

    Args:
        schedule: phases.
        views: versions of each sample that epochs draw among.
        seconds: what it is expected to take, evaluation included.
        fits: False where not even the shortest training fits.
    """

    schedule: tuple[Phase, ...]
    views: int
    seconds: float
    fits: bool


def probe_speeds(model: Any, source: SplitSource, *, images: int = 16) -> Speeds:
    """Measures a few samples; takes about two seconds.

    Args:
        model: from `build_model`.
        source: training samples.
        images: how many to measure with.
    """
    indices = np.arange(min(images, len(source)))
    started = time.perf_counter()
    plain_views = source.read(indices, np.zeros(len(indices), np.int64))
    plain = (time.perf_counter() - started) / len(indices)
    started = time.perf_counter()
    source.split.read_views(indices, views=(0, 1, 2), level=source.augment, options=source.options)
    both = (time.perf_counter() - started) / len(indices)
    batch = map_arrays(lambda x: x[:8], plain_views)
    model.predict_on_batch(batch)  # traces
    laps = []
    for _ in range(3):
        started = time.perf_counter()
        model.predict_on_batch(batch)
        laps.append((time.perf_counter() - started) / count_rows(batch))
    return Speeds(plain, max(0.0, (both - plain) / 2), float(np.median(laps)))


def macs_share(model: Any) -> dict[str | None, float]:
    """Returns the share of the network's multiplications that lie after each stage.

    Counted for convolutions and dense layers, from their kernels and output shapes; a layer of
    another kind, such as a whole hub module, counts as its weights.
    """
    macs: dict[str, float] = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None or not hasattr(layer, "output"):
            if not isinstance(layer, keras.layers.BatchNormalization):
                macs[layer.name] = sum(math.prod(weight.shape) for weight in layer.weights)
            continue
        sides = layer.output.shape[1:-1] if len(layer.output.shape) > 2 else ()
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        # A depthwise convolution moves more memory per multiplication: it counts three times.
        macs[layer.name] = math.prod(kernel.shape) * math.prod(sides) * (3 if depthwise else 1)
    total = sum(macs.values())
    shares: dict[str | None, float] = {None: 1.0}
    for stage in get_info(model).stages:
        names = [layer.name for layer in layers_up_to(model, stage.name)]
        before = sum(macs[name] for name in names if name in macs)
        shares[stage.name] = 1 - before / total if total else 1.0
    return shares


def estimate_seconds(
    speeds: Speeds,
    shares: dict[str | None, float],
    phases: Sequence[Phase],
    *,
    views: int,
    train: int,
    val: int,
    test: int,
    batch_size: int,
) -> float:
    """Returns the expected seconds of caching, training and testing.

    Args:
        speeds: of this machine.
        shares: from `macs_share`.
        phases: resolved.
        views: versions of each training image that epochs draw among.
        train: images.
        val: images.
        test: images.
        batch_size: images a step.
    """
    each = speeds.forward_seconds / _LITERT_GAIN
    seconds = _START_SECONDS + val * (speeds.view_seconds + each)
    held, trained = 0.0, 0.0  # views of each image; the largest share that a phase has trained
    for phase in phases:
        wanted, share = min(phase.views or views, views), shares[_stage_of(phase)]
        if share < trained:
            held = 0.0  # they lie behind layers that are no longer what they were
        trained = max(trained, share)
        # Each epoch draws one with replacement, and only what is drawn is computed.
        drawn = 1 - (1 - 1 / wanted) ** phase.epochs
        missing = max(0.0, wanted - held) * drawn
        made = missing * (speeds.view_seconds + (1 - share) * each)
        seconds += train * (made + min(1.0, missing) * speeds.read_seconds)
        held += missing
    seconds += (val + 2 * test) * speeds.read_seconds
    for phase in phases:
        forward = speeds.forward_seconds * shares[_stage_of(phase)]
        steps = math.ceil(train / batch_size)
        seconds += phase.epochs * (
            train * forward * _STEP_PASSES + val * forward + steps * _HEAD_STEP_SECONDS
        )
    return seconds + (test + val) * speeds.forward_seconds


def _stage_of(phase: Phase) -> str | None:
    return None if phase.stage is None else str(phase.stage)


def choose_schedule(
    speeds: Speeds,
    shares: dict[str | None, float],
    stages: Sequence[str],
    *,
    seconds: float,
    train: int,
    val: int,
    test: int,
    batch_size: int,
    augment: bool = True,
) -> BudgetedSchedule:
    """Returns the best schedule on the ladder that fits.

    Args:
        speeds: of this machine.
        shares: from `macs_share`.
        stages: names of the backbone's stages, the last being `backbone`.
        seconds: left of the budget.
        train: images.
        val: images.
        test: images.
        batch_size: images a step.
        augment: False allows one view only.

    Raises:
        UsageError: no time is left at all.
    """
    from tfxfer.schedule import resolve_schedule

    if seconds <= 0:
        raise UsageError(
            "budget: expected time for training after reading the images. "
            "Received: none left. Give a longer --budget."
        )
    chosen = None
    for views, stage, head_epochs, epochs in _LADDER:
        schedule = resolve_schedule(
            two_phase(head_epochs=head_epochs, epochs=epochs, unfreeze_from=stage or BACKBONE_END),
            stages,
        )
        count = views if augment else 1
        needed = _SAFETY * estimate_seconds(
            speeds,
            shares,
            schedule,
            views=count,
            train=train,
            val=val,
            test=test,
            batch_size=batch_size,
        )
        chosen = BudgetedSchedule(schedule, count, needed, needed <= seconds)
        if chosen.fits:
            return chosen
    assert chosen is not None
    return chosen
