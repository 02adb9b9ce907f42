"""AdaBN: the statistics of every BatchNormalization, as they are on another look."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfxfer.data.arrays import Arrays

__all__ = ["MOST_SAMPLES", "adapt_statistics", "list_statistics", "write_statistics"]

MOST_SAMPLES = 128
"""Of the target, whose activations are in memory together, a layer at a time.

A statistic is of each channel over samples and positions, so that few samples make many values; the
widest activations of EfficientNet-Lite0 at 224 px are 4.8 MB a sample.
"""


def adapt_statistics(model: Any, inputs: Arrays) -> None:
    """Sets the mean and variance of every BatchNormalization to those of some samples.

    All samples pass at once: each layer normalises by their own statistics, and what follows it
    sees that. So the statistics are those that the network has with them in place, not estimates
    along a moving average. Gamma and beta stay, and so do all other weights.

    Args:
        model: from `build_model`; its statistics change, and nothing else.
        inputs: of samples of the target, `MOST_SAMPLES` at most.

    Source:
        Li et al. 2018, algorithm 1, https://doi.org/10.1016/j.patcog.2018.03.005 and
        https://arxiv.org/abs/1603.04779.
    """
    layers = _list_layers(model)
    before = [(layer.momentum, layer.trainable) for layer in layers]
    try:
        for layer in layers:
            # A moving average without a past is the batch itself; a frozen layer has none.
            layer.momentum, layer.trainable = 0.0, True
        # Under the backend's training mode, dropout in the head is of no consequence here.
        model(inputs, training=True)
    finally:
        for layer, (momentum, trainable) in zip(layers, before, strict=True):
            layer.momentum, layer.trainable = momentum, trainable


def list_statistics(model: Any) -> list[np.ndarray]:
    """Returns the mean and variance of every BatchNormalization, in the model's order."""
    return [
        np.array(keras.ops.convert_to_numpy(value))
        for layer in _list_layers(model)
        for value in (layer.moving_mean, layer.moving_variance)
    ]


def write_statistics(model: Any, statistics: list[np.ndarray]) -> None:
    """Gives every BatchNormalization what `list_statistics` returned."""
    values = [
        value
        for layer in _list_layers(model)
        for value in (layer.moving_mean, layer.moving_variance)
    ]
    for value, wanted in zip(values, statistics, strict=True):
        value.assign(wanted)


def _list_layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
