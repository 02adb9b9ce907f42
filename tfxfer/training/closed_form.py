"""Weights that follow from pooled features, put into the layer that a head names."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfxfer.errors import ContractError, StorageError
from tfxfer.stages import get_info
from tfxfer.training.activations import Activations
from tfxfer.training.plan import PhasePlan

__all__ = ["fit_head", "fit_head_of_phase", "quiet_about_frozen"]


def fit_head(model: Any, features: np.ndarray, targets: np.ndarray) -> None:
    """Gives a layer of a model's head the weights that follow from features.

    Args:
        model: from `build_model`, with a head that has a closed form.
        features: pooled, of the training samples.
        targets: of the same, as the head encodes them.

    Shapes: features (samples, features), targets (samples, outputs).

    Raises:
        ContractError: the plugin's head names a layer that is none, or makes weights of others.
        DataError: samples that say too little.
    """
    head = get_info(model).head
    form = head.closed_form()
    layers = [] if form is None else [layer for layer in model.layers if layer.name == form.layer]
    if form is None or not layers:
        raise ContractError(
            f"head {head.name!r}: expected `closed_form()` to name one of the layers that `build` "
            f"makes. Received: {None if form is None else form.layer!r}."
        )
    before = layers[0].get_weights()
    found = [np.asarray(x, np.float32) for x in form.fit(features, targets, before)]
    shapes = [x.shape for x in before]
    if [x.shape for x in found] != shapes or not all(np.isfinite(x).all() for x in found):
        raise ContractError(
            f"head {head.name!r}: expected `fit` of its closed form to return finite weights of "
            f"shapes {shapes}. Received: {[x.shape for x in found]}."
        )
    layers[0].set_weights(found)


def fit_head_of_phase(
    model: Any, item: PhasePlan, activations: Activations, targets: np.ndarray
) -> None:
    """Does so with what a phase has cached; after that nothing is left to train.

    Args:
        model: of the training.
        item: the phase, in closed form.
        activations: with the features of the training samples.
        targets: see `fit_head`.

    Raises:
        StorageError: there was no room for them.
    """
    if not item.cached:
        raise StorageError(
            f"phase {item.phase.name!r}: expected room for a vector of each sample, from which the "
            "weights of the head follow. Received: neither memory nor disk. Free some space."
        )
    features, _ = activations.average(item.cut)
    fit_head(model, features, targets)
    for layer in model.layers:
        layer.trainable = False


@contextlib.contextmanager
def quiet_about_frozen(*, is_frozen: bool) -> Iterator[None]:
    """Says nothing of a network of which nothing trains, where that is wanted.

    Args:
        is_frozen: False changes nothing.
    """
    with warnings.catch_warnings():
        if is_frozen:
            warnings.filterwarnings("ignore", message=".*does not have any trainable weights")
        yield
