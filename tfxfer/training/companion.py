"""Samples beside those of each training step, of whose features and answers the loss hears, too.

They pass through the same layers in the same step. What a penalty makes of them is added to the
loss while the network trains, and to nothing else: validation, the best epoch and the saved network
know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.feed import SampleSource, SplitSource
from tfxfer.data.samples import SampleSplit
from tfxfer.frontier.cut import make_suffix
from tfxfer.training.plan import FitPlan

__all__ = [
    "Companion",
    "CompanionDraw",
    "Pairing",
    "accompany",
    "accompany_network",
    "find_progress",
    "make_companion_source",
]

_STREAM = 2  # of the seed: the training's own draw has those of 0 and 1


class Pairing(NamedTuple):
    """What a penalty is made of: one batch of the training, and its companions.

    Shapes: own (batch, features), other (companions, features), answers and targets (companions,
        outputs), weights (companions,), progress (1,).
    """

    own: Any
    """Pooled features of the training's samples."""
    other: Any
    """Pooled features of the companions."""
    answers: Any
    """What the head says of the companions."""
    targets: Any
    """That the companions came with."""
    weights: Any
    """How much each companion counts."""
    progress: Any
    """Share of the planned steps with companions that are over."""


@dataclass(frozen=True, eq=False)
class Companion:
    """Samples that go beside a training's wherever more than the head trains.

    Args:
        samples: in any number; they vary as the training's do.
        make_penalty: returns a new Keras layer, built, that maps a `Pairing` to what is added to
            the loss; it gets the number of features. Weights that it has train with the network,
            at the head's rate, and are gone after the phase.
        weights: how much each of the samples counts; None is 1.

    Shapes: weights (samples,).
    """

    samples: SampleSplit
    make_penalty: Callable[[int], keras.layers.Layer]
    weights: np.ndarray | None = None


def make_companion_source(companion: Companion, train: SampleSource) -> SplitSource:
    """Returns companions as a source of views, which vary as the training's samples do.

    A penalty on what tells two kinds of samples apart would find augmentation first.
    """
    samples, weights = companion.samples, companion.weights
    if not isinstance(train, SplitSource):
        return SplitSource(samples, sample_weights=weights)
    return SplitSource(
        samples, augment=train.augment, options=train.options, sample_weights=weights
    )


@dataclass(frozen=True)
class CompanionDraw:
    """Which view of which companion comes in which step: a pure function of seed and epoch.

    Each step has as many of them as a batch has samples, or all where there are fewer. All have
    come once before one comes again.

    Args:
        samples: how many there are.
        views: of each.
        batch_size: samples a step of the training.
        steps: of an epoch.
        seed: of the order and the views.
        cycle: first epoch and number of epochs after which what was drawn is drawn again.

    Example:
        >>> draw = CompanionDraw(3, 2, batch_size=2, steps=3, seed=0, cycle=(0, 1))
        >>> sorted(draw.epoch(0)[0].tolist())
        [0, 0, 1, 1, 2, 2]
    """

    samples: int
    views: int
    batch_size: int
    steps: int
    seed: int
    cycle: tuple[int, int]

    @property
    def size(self) -> int:
        """How many come in a step."""
        return min(self.batch_size, self.samples)

    def epoch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (sample indices, view numbers), each of shape (steps · size,)."""
        first, length = self.cycle
        rng = np.random.default_rng([self.seed, first + (number - first) % length, _STREAM])
        count = self.steps * self.size
        rounds = -(-count // self.samples)
        order = np.concatenate([rng.permutation(self.samples) for _ in range(rounds)])[:count]
        return order, rng.integers(0, self.views, count)

    def uses(self, epochs: range) -> np.ndarray:
        """Returns which views these epochs draw: bool (samples, views)."""
        found = np.zeros((self.samples, self.views), bool)
        for number in epochs:
            found[self.epoch(number)] = True
        return found


def find_progress(plan: FitPlan, number: int) -> Callable[[float], float]:
    """Returns what maps epochs of a phase that are over to the share of all that are planned.

    Phases that train the head alone do not count. It depends on the plan and on nothing that
    happened, so that a training that goes on knows it as well.

    Args:
        plan: of the training.
        number: of the phase.
    """
    counts = [item.phase.epochs if item.trains_backbone else 0 for item in plan.phases]
    before, total = sum(counts[:number]), sum(counts) + plan.later_epochs
    return lambda epochs: min(1.0, (before + epochs) / total)


class _Accompanied(keras.Model):
    """A network whose training steps see companions; without them it is the network itself.

    Args:
        network: maps inputs to pooled features and answers.
        penalty: layer that maps a `Pairing` to a number.
        name: of the network in whose place it is fitted.
    """

    def __init__(self, network: Any, penalty: Any, name: str) -> None:
        super().__init__(name=name)
        self.network, self.penalty = network, penalty
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the answers to the training's own samples."""
        if not isinstance(inputs, dict):
            return self.network(inputs, training=training)[1]
        # Together: a BatchNormalization that trains sees both kinds in every step.
        both = keras.tree.map_structure(
            lambda *pair: keras.ops.concatenate(pair), inputs["inputs"], inputs["other"]
        )
        features, answers = self.network(both, training=training)
        count = keras.ops.shape(keras.tree.flatten(inputs["inputs"])[0])[0]
        pairing = Pairing(
            features[:count],
            features[count:],
            answers[count:],
            inputs["targets"],
            inputs["weights"],
            inputs["progress"],
        )
        self.add_loss(self.penalty(pairing))
        return answers[:count]


def accompany(model: Any, stage: str | None, companion: Companion) -> Any:
    """Returns the network that is fitted after a stage, with companions in its training steps.

    Args:
        model: from `build_model`; what is returned shares its layers.
        stage: that it begins after; None is the inputs.
        companion: what comes beside the samples.
    """
    network = make_suffix(model, stage, ends=(BACKBONE_END,))
    penalty = companion.make_penalty(int(network.outputs[0].shape[-1]))
    return accompany_network(network, penalty, f"beside_{stage or 'inputs'}")


def accompany_network(network: Any, penalty: Any, name: str) -> Any:
    """Returns a network whose training steps see companions.

    Args:
        network: maps inputs to pooled features and answers.
        penalty: layer that maps a `Pairing` to what is added to the loss.
        name: of what is returned.

    Shapes: maps inputs to answers; or, in training, what `batches.accompany_batches` makes.
    """
    return _Accompanied(network, penalty, name)
