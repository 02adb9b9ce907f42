"""Where a model is cut in two, and what a cache of that place takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.stages import stage_tensor

__all__ = ["cache_bytes", "make_suffix", "stage_shape"]


def stage_shape(model: Any, stage: str | None) -> tuple[int, ...]:
    """Returns the shape of one image's activations at the end of a stage."""
    return tuple(int(side) for side in stage_tensor(model, stage).shape[1:])


def cache_bytes(
    model: Any,
    stages: Sequence[str | None],
    *,
    images: int,
    views: int,
    itemsize: int = 2,
    pixel_itemsize: int = 1,
) -> int:
    """Returns what caching these stages takes; pixels (None) are stored as they come."""
    total = 0
    for stage in stages:
        size = pixel_itemsize if stage is None else itemsize
        total += images * views * size * int(np.prod(stage_shape(model, stage)))
    return total


def make_suffix(model: Any, stage: str | None) -> Any:
    """Returns the part of the model after a stage, sharing its layers and weights.

    Shapes: maps activations (batch, …) at the end of the stage to the model's outputs.

    Raises:
        ModelError: the stage's end is not the only tensor that crosses the boundary.
    """
    import keras

    if stage is None:
        return model
    try:
        suffix = keras.Model(stage_tensor(model, stage), model.outputs, name=f"after_{stage}")
    except ValueError as error:
        raise ModelError(
            f"model {model.name!r}: expected stage {stage!r} to end at the only tensor that what "
            "follows needs. Received: a graph in which another one crosses. Let the stage end "
            "after the addition."
        ) from error
    return suffix
