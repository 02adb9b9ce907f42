"""AdaBN: the statistics of every BatchNormalization, as they are on another look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import Arrays

__all__ = ["adapt_statistics", "has_statistics", "list_statistics", "write_statistics"]

Statistics = list[tuple[np.ndarray, np.ndarray]]
"""Mean and variance of each BatchNormalization, in the model's order."""


def has_statistics(model: Any) -> bool:
    """Returns whether there is a BatchNormalization in a model."""
    return bool(_list_layers(model))


def adapt_statistics(model: Any, batches: Iterable[Arrays]) -> None:
    """Sets the mean and variance of every BatchNormalization to those of some samples.

    The samples of a batch pass together, and each layer normalises by their own statistics, so that
    what follows it sees the look as it is normalised, too: those of one batch are the statistics
    that the network has with them in place. Several batches are pooled, the variance of their means
    included. Gamma and beta stay, and so do all other weights.

    Args:
        model: from `build_model`; its statistics change, and nothing else.
        batches: inputs of samples of the target, one batch or more of one size.

    Source:
        Li et al. 2018, algorithm 1, https://arxiv.org/abs/1603.04779.
    """
    layers = _list_layers(model)
    before = [(layer.momentum, layer.trainable) for layer in layers]
    found: list[Statistics] = []
    try:
        for layer in layers:
            # A moving average without a past is the batch itself; a frozen layer has none.
            layer.momentum, layer.trainable = 0.0, True
        for batch in batches:
            # What is random while training, the dropout of a head, comes after every statistic.
            model(batch, training=True)
            found.append(list_statistics(model))
    finally:
        for layer, (momentum, trainable) in zip(layers, before, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
    pooled = []
    for of_layer in zip(*found, strict=True):
        means, variances = (np.stack(values) for values in zip(*of_layer, strict=True))
        pooled.append((means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)))
    write_statistics(model, pooled)


def list_statistics(model: Any) -> Statistics:
    """Returns the statistics of a model as they are."""
    return [
        (
            np.array(keras.ops.convert_to_numpy(layer.moving_mean)),
            np.array(keras.ops.convert_to_numpy(layer.moving_variance)),
        )
        for layer in _list_layers(model)
    ]


def write_statistics(model: Any, statistics: Statistics) -> None:
    """Gives every BatchNormalization what `list_statistics` returned."""
    for layer, (mean, variance) in zip(_list_layers(model), statistics, strict=True):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def _list_layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
