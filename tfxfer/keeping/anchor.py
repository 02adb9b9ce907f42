"""Penalties on how far weights move from where a training begins: L2-SP and EWC.

Both are ½ · strength · Σᵢ Fᵢ (wᵢ - wᵢ⁰)² over the weights that train. For L2-SP every Fᵢ is 1; for
EWC it is how much the earlier task's likelihood depends on that weight.

Source:
    Li, Grandvalet and Davoine 2018, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks, https://arxiv.org/abs/1802.01483, eq. 3; Kirkpatrick et al. 2017,
    Overcoming catastrophic forgetting in neural networks, https://arxiv.org/abs/1612.00796, eq. 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfxfer.keeping.watching import watch_network

__all__ = ["hold_weights", "list_learnt", "measure_distance", "read_references"]


def measure_distance(
    weights: Any, reference: np.ndarray, importance: np.ndarray | None = None
) -> Any:
    """Returns ½ Σ importance · (w - reference)² of one variable.

    Args:
        weights: the variable.
        reference: where the weights should stay.
        importance: of each weight; None is 1 for all of them.

    Shapes: all of one shape; returns a number.
    """
    ops = keras.ops
    squares = ops.square(ops.cast(weights, "float32") - np.asarray(reference, np.float32))
    if importance is not None:
        squares = squares * np.asarray(importance, np.float32)
    return 0.5 * ops.sum(squares)


def read_references(layers: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """Returns the present values of the trainable kind of weights, by layer name.

    Statistics, which no gradient moves, are not among them.
    """
    return {
        layer.name: [np.array(x) for x in map(_read, list_learnt(layer))]
        for layer in layers
        if list_learnt(layer)
    }


def hold_weights(
    network: Any,
    references: Mapping[str, Sequence[np.ndarray]],
    *,
    strength: float,
    importances: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Any:
    """Returns a network for one training, whose loss holds the weights that train.

    Args:
        network: that trains, its layers frozen or not as they will be.
        references: where the weights of each layer should stay, by its name; others are free.
        strength: of the penalty.
        importances: of each weight, as the references; layers of which nothing is known are free.
            None is 1 for all.

    Returns:
        The network itself where nothing is to be held.
    """
    held = [
        (variable, number, layer.name)
        for layer in network.layers
        if layer.name in references
        if importances is None or layer.name in importances
        for number, variable in enumerate(list_learnt(layer))
        if any(variable is trained for trained in layer.trainable_variables)
    ]
    if not held:
        return network

    def penalize(watched: Any, given: list[Any]) -> Any:
        total = 0.0
        for variable, number, name in held:
            importance = None if importances is None else importances[name][number]
            total = total + measure_distance(variable, references[name][number], importance)
        return strength * total

    return watch_network(network, penalize)


def list_learnt(layer: Any) -> list[Any]:
    """Returns a layer's weights that gradients move, frozen for the moment or not."""
    moving = {
        id(x) for name in ("moving_mean", "moving_variance") for x in [getattr(layer, name, None)]
    }
    return [x for x in layer.weights if id(x) not in moving]


def _read(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
