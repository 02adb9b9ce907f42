"""One Keras optimizer per phase, with a learning rate per stage where the phase asks for it."""

from __future__ import annotations

import math
import re
from typing import Any

import keras

from tfxfer.errors import ModelError
from tfxfer.fine_tuning import DEFAULT_OPTIMIZER
from tfxfer.keras_private import copy_decay_exclusions
from tfxfer.schedule import Phase
from tfxfer.stages import MADE_FOR_PHASE, get_info, map_layers_to_stages

__all__ = ["copy_optimizer", "is_followed", "make_optimizer", "read_rates", "stage_rates"]


def stage_rates(phase: Phase, stages: list[str]) -> dict[str | None, float]:
    """Returns the peak learning rate of every trained stage, that of the head first, under None.

    Args:
        phase: with its `stage` resolved to a name or None.
        stages: the backbone's stages from the input, without `backbone`.

    Example:
        >>> phase = Phase("p", "stem", 1, 1.0, stage_decay=0.5)
        >>> stage_rates(phase, ["stem", "block_1", "block_2"])
        {None: 1.0, 'block_2': 1.0, 'block_1': 0.5}
    """
    first = 0 if phase.stage is None else len(stages)
    if phase.stage in stages:
        first = stages.index(str(phase.stage)) + 1
    trained = stages[first:]
    rates: dict[str | None, float] = {None: phase.learning_rate}
    for distance, stage in enumerate(reversed(trained)):
        rates[stage] = phase.learning_rate * phase.stage_decay**distance
    return rates


def read_rates(optimizer: Any) -> tuple[float, dict[str, float]]:
    """Returns the head's learning rate of this moment, and that of every stage with its own."""

    def read(single: Any) -> float:
        return float(keras.ops.convert_to_numpy(single.learning_rate))

    if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return read(optimizer), {}
    # Keras lists the default, which is the head's, after those of the map.
    *rated, head = optimizer.optimizers
    return read(head), {single.name: read(single) for single in rated}


def copy_optimizer(optimizer: Any, **changed: Any) -> Any:
    """Returns a fresh optimizer of the same class and configuration.

    Args:
        optimizer: to be copied; what it has gathered so far is not.
        changed: of its configuration, such as `learning_rate`.

    Raises:
        ModelError: its class does not make one from its own `get_config`.
    """
    try:
        found = type(optimizer).from_config({**optimizer.get_config(), **changed})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ModelError(
            f"optimizer {type(optimizer).__name__!r}: expected one that its from_config makes anew "
            f"from its get_config, for each phase. Received: {error}"
        ) from error
    copy_decay_exclusions(optimizer, found)
    return found


def is_followed(pattern: Any, phase: Phase) -> bool:
    """Returns whether a phase trains with an optimizer like the one that a user compiled.

    One that a phase names wins, and an optimizer of optimizers has no rate for a phase to set.
    """
    return (
        phase.optimizer == DEFAULT_OPTIMIZER
        and hasattr(pattern, "get_config")
        and not isinstance(pattern, keras.optimizers.MultiOptimizer)
    )


def make_optimizer(
    model: Any,
    phase: Phase,
    *,
    steps_per_epoch: int,
    constant_rate: bool = False,
    pattern: Any = None,
) -> Any:
    """Returns the optimizer of a phase.

    With `stage_decay` below 1 that is a `keras.optimizers.MultiOptimizer` with one optimizer per
    stage, named after it and chosen by regular expressions over the variables' paths, so that a
    saved model loads.

    Args:
        model: frozen for the phase already.
        phase: with its `stage` resolved.
        steps_per_epoch: batches an epoch.
        constant_rate: leave the rate alone, since a callback of the user's sets it.
        pattern: an optimizer of the user's, of whose kind it is; see `is_followed`.

    Raises:
        ModelError: see `copy_optimizer`.
    """
    optimizer = _make(model, phase, steps_per_epoch, constant_rate, pattern)
    setattr(optimizer, MADE_FOR_PHASE, True)
    return optimizer


def _make(model: Any, phase: Phase, steps_per_epoch: int, constant_rate: bool, pattern: Any) -> Any:
    total = phase.epochs * steps_per_epoch
    info = get_info(model)
    rates = stage_rates(phase, [stage.name for stage in info.stages[:-1]])
    if phase.stage_decay == 1 or len(rates) == 1:
        return _single(phase, phase.learning_rate, total, constant_rate, pattern)
    owner = map_layers_to_stages(model)
    optimizers = {}
    for stage, rate in rates.items():
        if stage is None:
            continue
        paths = [
            re.escape(variable.path)
            for layer in model.layers
            if owner[layer.name] == stage
            for variable in layer.trainable_variables
        ]
        if paths:
            optimizers["|".join(paths)] = _single(
                phase, rate, total, constant_rate, pattern, name=stage
            )
    # Keras's own callbacks log one rate per optimizer, by its name.
    name = "head"
    while name in rates:
        name += "_"
    default = _single(phase, phase.learning_rate, total, constant_rate, pattern, name=name)
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, optimizers))


def _single(
    phase: Phase,
    rate: float,
    total_steps: int,
    constant_rate: bool,
    pattern: Any = None,
    name: str | None = None,
) -> Any:
    schedule: Any = rate
    if phase.decay == "cosine" and not constant_rate:
        # At least one step is left for the peak: a single step would train at a rate of 0.
        warmup = min(math.ceil(total_steps * phase.warmup), total_steps - 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            decay_steps=max(1, total_steps - warmup),
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    if pattern is not None and is_followed(pattern, phase):
        return copy_optimizer(pattern, learning_rate=schedule, name=name or pattern.name)
    if phase.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule,
            momentum=0.9,
            nesterov=True,
            weight_decay=phase.weight_decay or None,
            name=name or "sgd",
        )
    elif phase.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=phase.weight_decay, name=name or "adamw"
        )
    else:
        optimizer = keras.optimizers.Adam(schedule, name=name or "adam")
    if phase.weight_decay and phase.optimizer != "adam":
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
