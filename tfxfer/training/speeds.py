"""What a sample costs on this machine, measured in seconds that are not lost."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import count_rows, list_arrays, map_arrays
from tfxfer.data.feed import SplitSource
from tfxfer.data.spread import spread_rows
from tfxfer.frontier.cut import list_prefix_inputs
from tfxfer.frontier.fill import Conversion
from tfxfer.stages import get_info, layers_up_to

__all__ = ["Speeds", "macs_share", "probe_speeds"]

_BATCH = 32
_LAPS = 3


@dataclass(frozen=True)
class Speeds:
    """What one sample costs on this machine.

    Args:
        read_seconds: reading a sample.
        view_seconds: making one augmented view of it.
        forward_seconds: one sample through the whole network, forward, through Keras.
        cache_seconds: the same through what fills the cache: less, where that is LiteRT.
        trace_seconds: until Keras has traced and compiled a forward pass.
    """

    read_seconds: float
    view_seconds: float
    forward_seconds: float
    cache_seconds: float
    trace_seconds: float


def probe_speeds(
    model: Any,
    source: SplitSource,
    *,
    stages: Sequence[str | None] = (),
    conversion: Conversion | None = None,
    samples: int = _BATCH,
) -> Speeds:
    """Measures a few samples.

    Args:
        model: from `build_model`.
        source: training samples.
        stages: frontiers that the training may have. What is converted to time the pass that fills
            the cache is then there for the training.
        conversion: keeps that; None leaves it out, and takes Keras's time for it.
        samples: how many to measure with.
    """
    indices = np.array(spread_rows(len(source), samples))
    started = time.perf_counter()
    plain_views = source.read(indices, np.zeros(len(indices), np.int64))
    plain = (time.perf_counter() - started) / len(indices)
    started = time.perf_counter()
    source.split.read_views(indices, views=(0, 1, 2), level=source.augment, options=source.options)
    both = (time.perf_counter() - started) / len(indices)
    batch = map_arrays(lambda x: np.resize(x, (_BATCH, *x.shape[1:])), plain_views)
    started = time.perf_counter()
    model.predict_on_batch(batch)
    first = time.perf_counter() - started
    forward = _median_lap(lambda: model.predict_on_batch(batch)) / count_rows(batch)
    cache = forward
    cuts = [stage for stage in dict.fromkeys(stages) if stage is not None]
    if conversion is not None and cuts:
        runner = conversion.open_runner(model, cuts, use_litert=True)
        inputs = list_arrays(batch)
        read = [inputs[position] for position in list_prefix_inputs(model, cuts)]
        try:
            runner(read)
            cache = _median_lap(lambda: runner(read)) / _BATCH
        finally:
            runner.close()
        # The deepest cut is not the whole network.
        deepest = min(macs_share(model)[stage] for stage in cuts)
        cache /= max(1 - deepest, 0.1)
    return Speeds(
        read_seconds=plain,
        view_seconds=max(0.0, (both - plain) / 2),
        forward_seconds=forward,
        cache_seconds=cache,
        trace_seconds=max(0.0, first - _BATCH * forward),
    )


def _median_lap(work: Any) -> float:
    laps = []
    for _ in range(_LAPS):
        started = time.perf_counter()
        work()
        laps.append(time.perf_counter() - started)
    return float(np.median(laps))


def macs_share(model: Any) -> dict[str | None, float]:
    """Returns the share of the network's multiplications that lie after each stage.

    Counted for convolutions and dense layers, from their kernels and output shapes, of samples that
    fill the input where it takes any length. A layer of another kind, such as a whole hub module,
    counts as its weights; a table of vectors, of which a sample takes a few as they are, as none.
    """
    macs: dict[str, float] = {}
    info = get_info(model)
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None or not hasattr(layer, "output"):
            if not isinstance(layer, keras.layers.BatchNormalization | keras.layers.Embedding):
                macs[layer.name] = sum(math.prod(weight.shape) for weight in layer.weights)
            continue
        sides = [info.size if side is None else side for side in layer.output.shape[1:-1]]
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        # A depthwise convolution moves more memory per multiplication: it counts three times.
        macs[layer.name] = math.prod(kernel.shape) * math.prod(sides) * (3 if depthwise else 1)
    total = sum(macs.values())
    shares: dict[str | None, float] = {None: 1.0}
    for stage in info.stages:
        names = [layer.name for layer in layers_up_to(model, stage.name)]
        before = sum(macs[name] for name in names if name in macs)
        shares[stage.name] = 1 - before / total if total else 1.0
    return shares
