"""A model's temperature: fitted on samples, and folded into the layer that makes its logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.errors import ContractError, ModelError
from tfxfer.head import Tempering
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.scoring import score_labelled
from tfxfer.progress import Progress
from tfxfer.stages import get_info
from tfxfer.system.arguments import check_number
from tfxfer.trust.temperature import (
    Calibration,
    Temperature,
    compare_calibration,
    find_temperature,
    temper,
)

__all__ = ["calibrate", "calibrate_scores", "find_tempering", "fold_temperature"]


def calibrate(
    model: Any, data: Any, *, seed: int = 0, progress: Progress | None = None
) -> Calibration:
    """Makes a model's confidence mean something, at no cost: its last layer is changed in place.

    One temperature is fitted on samples that the model was not trained on, and divided out of the
    kernel and the bias that make the logits. Every answer stays what it was. Call it after `fit`:
    to train on, on from there, makes the confidence what the loss makes of it.

    Args:
        model: from `build_model` or `load_model`.
        data: as `evaluate` takes it; `data.val` of `load_images`, never what is reported on.
        seed: of the intervals.
        progress: told of samples done.

    Returns:
        The temperature, 1 where the model was left alone, and its figures before and after.

    Raises:
        ModelError: the model's head does not say how it is tempered.
        DataError: samples that `evaluate` would refuse.
        UsageError: a seed that is no whole number.

    Example:
        model = tfxfer.build_model("efficientnet_lite0", labels=data.labels)
        tfxfer.fit(model, data)
        print(tfxfer.calibrate(model, data.val).describe())

    Source:
        Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599.
    """
    check_number(seed, where="calibrate", name="seed", least=0)
    found = find_tempering(model)
    if found is None:
        info = get_info(model)
        raise ModelError(
            f"calibrate: expected a model whose head says how its scores are tempered. Received: "
            f"head={info.head.name!r}, whose `tempering()` is None or whose outputs are not its "
            "own. Leave the model as it is."
        )
    scores, targets = score_labelled(wrap_model(model), data, where="calibrate", progress=progress)
    fitted, tempered = calibrate_scores(scores, targets, found)
    fold_temperature(model, found, fitted.value)
    split = compare_calibration(scores, tempered, targets, link=found.link, seed=seed)
    return Calibration(fitted.value, split, reason=fitted.reason)


def find_tempering(model: Any) -> Tempering | None:
    """Returns how a model is tempered; None where its head does not say, or is not its own.

    Raises:
        ContractError: the head says something else.
    """
    info = get_info(model)
    found = info.head.tempering() if info.has_own_head else None
    if not (found is None or isinstance(found, Tempering)):
        raise ContractError(
            f"head {info.head.name!r}: expected a tfxfer.Tempering or None from `tempering()`. "
            f"Received: {found!r}."
        )
    return found


def calibrate_scores(
    scores: np.ndarray, targets: np.ndarray, tempering: Tempering
) -> tuple[Temperature, np.ndarray]:
    """Returns the temperature of validation samples, and their scores with it.

    Shapes: (samples, outputs) each.
    """
    fitted = find_temperature(scores, targets, link=tempering.link)
    if fitted.value == 1:
        return fitted, scores
    return fitted, temper(scores, fitted.value, link=tempering.link)


def fold_temperature(model: Any, tempering: Tempering, temperature: float) -> None:
    """Divides the weights of the layer that makes the logits, and with them the logits.

    Args:
        model: a Keras model.
        tempering: which layer.
        temperature: 1 changes nothing.

    Raises:
        ContractError: the head names a layer that is not there, or that has no weights.
    """
    if temperature == 1:
        return
    layers = [layer for layer in model.layers if layer.name == tempering.layer]
    if not layers or not layers[0].get_weights():
        raise ContractError(
            f"head {get_info(model).head.name!r}: expected `tempering()` to name a layer with "
            f"weights. Received: layer={tempering.layer!r}."
        )
    layers[0].set_weights([weights / temperature for weights in layers[0].get_weights()])
