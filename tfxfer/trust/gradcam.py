"""Grad-CAM: which places of a stage's map speak for an output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.errors import ModelError, ScheduleError
from tfxfer.progress import Progress
from tfxfer.stages import get_info, stage_tensor
from tfxfer.system.arguments import check_kind
from tfxfer.trust.gradients import StageGradients

if TYPE_CHECKING:
    import keras

__all__ = ["choose_stage", "compute_gradcam", "list_map_stages"]

_BATCH_SAMPLES = 8
"""A gradient keeps every activation behind the stage, as training does: fewer at a time than where
one only scores."""


def list_map_stages(model: keras.Model) -> tuple[str, ...]:
    """Returns the stages that end at a map with more than one place, in order."""
    found = []
    for stage in get_info(model).stages:
        shape = tuple(stage_tensor(model, stage.name).shape)
        if len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1:
            found.append(stage.name)
    return tuple(found)


def choose_stage(model: keras.Model, stage: str | None) -> str:
    """Returns the stage that is looked at: the one that is named, or the last with a map.

    Raises:
        ModelError: the named one has no map, or none has.
        ScheduleError: the model has no such stage.
    """
    if stage is not None:
        check_kind(
            stage,
            str,
            where="explain",
            name="stage",
            expected="the name of a stage, or None",
            error=ScheduleError,
        )
        stage_tensor(model, stage)  # no such stage: says so, with the closest name
    known = list_map_stages(model)
    if not known:
        raise ModelError(
            f"model {model.name!r}: expected a stage that ends at a map (height, width, channels). "
            "Received: none. Cover places instead: method='occlusion'"
        )
    if stage is not None and stage not in known:
        shape = tuple(stage_tensor(model, stage).shape[1:])
        raise ModelError(
            f"model {model.name!r}: expected a stage that ends at a map (height, width, channels). "
            f"Received: stage={stage!r}, which ends at {shape}. Stages with one: "
            f"{', '.join(known)}."
        )
    return stage or known[-1]


def compute_gradcam(
    model: keras.Model,
    inputs: list[np.ndarray],
    outputs: np.ndarray,
    *,
    stage: str,
    progress: Progress | None = None,
) -> np.ndarray:
    """Returns how much each place of a stage's map speaks for an output, with its sign.

    Args:
        model: flat, from `build_model` or `load_model`.
        inputs: of the model, in its order.
        outputs: the output that is explained, of each sample, by position.
        stage: that ends at a map.
        progress: told of samples done.

    Shapes: inputs (samples, …) each; outputs (samples,); returns float32 (samples, rows, columns)
        of the stage's map.

    Source:
        Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, eq. 1 and 2 without the ReLU, which
        is left to whoever draws it: the sum over channels of the activation, weighted by the
        gradient of the output before its softmax, averaged over places.
    """
    gradients = StageGradients(model, stage)
    parts: list[Any] = []
    for start in range(0, len(outputs), _BATCH_SAMPLES):
        span = slice(start, start + _BATCH_SAMPLES)
        maps, slopes = gradients.compute([x[span] for x in inputs], outputs[span])
        weights = slopes.mean(axis=(1, 2), keepdims=True)
        parts.append((maps * weights).sum(axis=3, dtype=np.float32))
        if progress is not None:
            progress("explaining", min(span.stop, len(outputs)), len(outputs))
    found: np.ndarray = np.concatenate(parts)
    return found
