"""Activations with another look: means and deviations of channels, mixed with those of others."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tfxfer.data.arrays import Arrays, list_arrays, map_arrays
from tfxfer.data.samples import SampleSplit
from tfxfer.frontier.cut import ACTIVATIONS, list_prefix_inputs, stage_shape
from tfxfer.frontier.fill import Conversion
from tfxfer.progress import Progress
from tfxfer.training.batches import Change

__all__ = ["MixStyle", "Statistics", "has_maps", "mix_statistics"]

ALPHA = 0.1
"""Of the Beta distribution that shares are drawn from."""
CHANCE = 0.5
"""That a sample's activations are mixed at all."""
_TINY = 1e-6  # added to variances, as in the source: a channel may be constant
_BATCH = 32
_STREAM = 2
# Converting a network takes as long as Keras needs for some hundred samples.
_WORTH_CONVERTING = 512


@dataclass(frozen=True, eq=False)
class Statistics:
    """The mean and the deviation of each channel of some maps.

    Shapes: float32 (maps, channels) each.
    """

    means: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray) -> Self:
        """Measures them.

        Shapes: (maps, height, width, channels).
        """
        values = np.asarray(maps, np.float32)
        variances = values.var(axis=(1, 2)) + np.float32(_TINY)
        return cls(values.mean(axis=(1, 2)), np.sqrt(variances))


def mix_statistics(maps: np.ndarray, others: Statistics, shares: np.ndarray | float) -> np.ndarray:
    """Returns maps with other means and deviations of their channels.

    Args:
        maps: activations.
        others: of as many other maps, one for each.
        shares: λ, how much of its own a map keeps: 1 leaves it as it is, 0 gives it the other's.

    Shapes: (n, height, width, channels); shares (n,) or one for all; returns float32.

    Source:
        Zhou et al. 2021, Domain Generalization with MixStyle,
        https://arxiv.org/abs/2104.02008. There both are of one batch; here the others are of
        samples without labels.
    """
    values, own = np.asarray(maps, np.float32), Statistics.of(maps)
    kept = np.broadcast_to(np.asarray(shares, np.float32), (len(values),))[:, None]
    means = kept * own.means + (1 - kept) * others.means
    deviations = kept * own.deviations + (1 - kept) * others.deviations
    scale = (deviations / own.deviations)[:, None, None]
    return (values - own.means[:, None, None]) * scale + means[:, None, None]


def has_maps(model: Any, stage: str | None) -> bool:
    """Returns whether what is cached at a stage is maps, whose channels have statistics.

    The inputs themselves are no activations, and a pooled vector has no positions.
    """
    return stage is not None and len(stage_shape(model, stage)) == 3


@dataclass(frozen=True, eq=False)
class MixStyle:
    """Mixes the activations of training batches with those of samples of another look.

    Args:
        samples: of that look; nobody asks for their labels.
        seed: of the training.
        progress: told of samples done.
    """

    samples: SampleSplit
    seed: int
    progress: Progress | None = None

    def __call__(self, model: Any, stage: str | None) -> Change | None:
        """Returns what a phase does to its batches; see `tfxfer.Control.change`."""
        if not has_maps(model, stage):
            return None
        assert stage is not None
        return functools.partial(_mix_batch, self._measure(model, stage), self.seed)

    def _measure(self, model: Any, stage: str) -> Statistics:
        """Returns the statistics of every sample; the maps themselves are not kept."""
        use_litert = len(self.samples) >= _WORTH_CONVERTING
        runner = Conversion().open_runner(model, [stage], use_litert=use_litert)
        positions = list_prefix_inputs(model, [stage])
        parts, done = [], 0
        try:
            for indices, found in self.samples.iter_views(batch_size=_BATCH):
                inputs = list_arrays(map_arrays(lambda x: x[:, 0], found))
                (maps,) = runner([inputs[position] for position in positions])
                parts.append(Statistics.of(maps))
                done += len(indices)
                if self.progress is not None:
                    self.progress("measuring the style", done, len(self.samples))
        finally:
            runner.close()
        return Statistics(
            np.concatenate([part.means for part in parts]),
            np.concatenate([part.deviations for part in parts]),
        )


def _mix_batch(others: Statistics, seed: int, inputs: Arrays, epoch: int, batch: int) -> Arrays:
    if isinstance(inputs, dict):
        return {**inputs, ACTIVATIONS: _mix(others, seed, inputs[ACTIVATIONS], epoch, batch)}
    return _mix(others, seed, inputs, epoch, batch)


def _mix(others: Statistics, seed: int, maps: np.ndarray, epoch: int, batch: int) -> np.ndarray:
    rng = np.random.default_rng((seed, epoch, batch, _STREAM))
    chosen = np.flatnonzero(rng.random(len(maps)) < CHANCE)
    shares = rng.beta(ALPHA, ALPHA, len(chosen))
    rows = rng.integers(len(others.means), size=len(chosen))
    drawn = Statistics(others.means[rows], others.deviations[rows])
    mixed = np.array(maps, np.float32)
    mixed[chosen] = mix_statistics(mixed[chosen], drawn, shares)
    return mixed
