"""Reptile: weights move a little towards what each of many small tasks makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import Arrays, list_arrays
from tfxfer.errors import ModelError
from tfxfer.progress import Progress

__all__ = [
    "Course",
    "Pattern",
    "Task",
    "learn_to_learn",
    "make_inner_optimizer",
    "move_weights",
]

Task = tuple[Arrays, np.ndarray]
"""Inputs and targets of a few samples, (samples, …) each."""


@dataclass(frozen=True)
class Pattern:
    """How weights are moved.

    Args:
        iterations: tasks, one after the other.
        steps: of the optimizer within a task.
        batch_size: samples a step, at most those of a task.
        rate: of the optimizer within a task.
        outer: how far weights move towards a task's at first, 0 to 1; it falls to 0 in a line.
    """

    iterations: int = 1000
    steps: int = 8
    batch_size: int = 10
    rate: float = 1e-3
    outer: float = 0.1  # the source begins at 1, with random weights; these have much to lose


@dataclass(frozen=True)
class Course:
    """What became of it.

    Args:
        iterations: tasks that were learnt.
        seconds: that they took.
        losses: of the last step within each task.
    """

    iterations: int
    seconds: float
    losses: tuple[float, ...]


def make_inner_optimizer(pattern: Pattern) -> Any:
    """Returns what learns a task: Adam without momentum, as in the source of `move_weights`."""
    return keras.optimizers.Adam(pattern.rate, beta_1=0.0)


def move_weights(
    start: Sequence[np.ndarray], reached: Sequence[np.ndarray], step: float
) -> list[np.ndarray]:
    """Returns θ + ε (φ - θ).

    Args:
        start: θ, what a task began with.
        reached: φ, what it ended with.
        step: ε.

    Source:
        Nichol, Achiam and Schulman 2018, On First-Order Meta-Learning Algorithms, algorithm 1,
        https://arxiv.org/abs/1803.02999.
    """
    return [one + step * (other - one) for one, other in zip(start, reached, strict=True)]


def learn_to_learn(
    network: Any,
    draw: Callable[[np.random.Generator], Task],
    pattern: Pattern,
    *,
    seed: int,
    deadline: float | None = None,
    progress: Progress | None = None,
) -> Course:
    """Moves the trainable weights of a network towards those from which tasks are learnt quickly.

    Args:
        network: a `keras.Model`, compiled with an optimizer, whose state each task begins anew.
        draw: returns a task; those that are drawn follow from the seed.
        pattern: how.
        seed: of the tasks and of the order of their samples.
        deadline: `time.monotonic()` at which it ends; the rate falls with the time, too.
        progress: told of tasks done.

    Raises:
        ModelError: a loss that is not finite.
    """
    started = time.monotonic()
    optimizer = network.optimizer
    optimizer.build(network.trainable_variables)
    fresh = [np.asarray(keras.ops.convert_to_numpy(x)) for x in optimizer.variables]
    weights, losses = _read(network), []
    for iteration in range(pattern.iterations):
        share = iteration / pattern.iterations
        if deadline is not None:
            now = time.monotonic()
            share = max(share, (now - started) / max(deadline - started, 1e-9))
            if now >= deadline:
                break
        rng = np.random.default_rng((seed, iteration))
        inputs, targets = draw(rng)
        for variable, value in zip(optimizer.variables, fresh, strict=True):
            variable.assign(value)
        loss = np.nan
        for rows in _list_batches(len(targets), pattern, rng):
            given = tuple(values[rows] for values in list_arrays(inputs))
            found = network.train_on_batch(given if len(given) > 1 else given[0], targets[rows])
            loss = float(np.ravel(found)[0])
        if not np.isfinite(loss):
            _write(network, weights)
            raise ModelError(
                f"task {iteration}: expected a finite loss. Received: {loss}. Take a smaller rate "
                "within tasks: --rate"
            )
        weights = move_weights(weights, _read(network), pattern.outer * (1 - share))
        _write(network, weights)
        losses.append(loss)
        if progress is not None:
            progress(f"learning to learn: loss {loss:.3f}", iteration + 1, pattern.iterations)
    return Course(len(losses), time.monotonic() - started, tuple(losses))


def _list_batches(count: int, pattern: Pattern, rng: np.random.Generator) -> list[np.ndarray]:
    """Returns batches of one size, each sample in turn: another size would be compiled anew."""
    size = min(pattern.batch_size, count)
    rounds = -(-pattern.steps * size // count)
    order = np.concatenate([rng.permutation(count) for _ in range(rounds)])
    return [order[size * step : size * (step + 1)] for step in range(pattern.steps)]


def _read(network: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(x)) for x in network.trainable_variables]


def _write(network: Any, values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(network.trainable_variables, values, strict=True):
        variable.assign(value)
