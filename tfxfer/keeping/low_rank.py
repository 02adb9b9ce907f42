"""Kernels that move within a low rank while they train, and are plain kernels afterwards: LoRA.

A kernel W becomes W + A·B with A of `RANK` columns and B of as many rows. Only A, B and the head
train, so that what the network knows can change in few directions. A begins at random and B at
zero: the training begins with W.

Keras adapts its dense and convolution layers itself (`enable_lora`): of a convolution A is a
convolution to `RANK` channels and B one of a single pixel. Depthwise kernels have no rank to lower,
and stay.

Source:
    Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models,
    https://arxiv.org/abs/2106.09685, section 4.1, with alpha = r.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

__all__ = ["RANK", "adapt_layers", "merge_layers"]

RANK = 8


def adapt_layers(layers: Sequence[Any], *, rank: int = RANK, seed: int = 0) -> tuple[str, ...]:
    """Lets kernels move within a low rank; returns the names of their layers.

    Kernels that are no larger than their adapter stay as they are: frozen, once
    `tfxfer.stages.set_trainable` meets an adapted layer beside them.

    Args:
        layers: of a model, built.
        rank: of what is added.
        seed: of where A begins.
    """
    adapted = []
    for number, layer in enumerate(layers):
        if not hasattr(layer, "enable_lora") or _count_saved(layer, rank) <= 0:
            continue
        layer.enable_lora(rank, a_initializer=keras.initializers.HeUniform(seed + number))
        adapted.append(layer.name)
    return tuple(adapted)


def merge_layers(adapted: Any, plain: Any) -> None:
    """Gives a model without adapters the weights of one with them, kernels and adapters added up.

    Args:
        adapted: a Keras model, some of whose layers were adapted.
        plain: a model of the same layers.
    """
    for layer in plain.layers:
        source = adapted.get_layer(layer.name)
        if not getattr(source, "lora_enabled", False):
            layer.set_weights(source.get_weights())
            continue
        known = {weight.name: weight for weight in source.weights}
        # The property holds the sum; the weight of that name is the kernel as it was.
        found = {**known, "kernel": source.kernel}
        layer.set_weights([_read(found[weight.name]) for weight in layer.weights])


def _count_saved(layer: Any, rank: int) -> int:
    """Returns how many numbers fewer an adapter has than its kernel."""
    shape = tuple(layer.kernel.shape)
    if len(shape) < 2 or getattr(layer, "groups", 1) != 1:
        return 0
    inside, outside = int(np.prod(shape[:-1])), int(shape[-1])
    return inside * outside - rank * (inside + outside)


def _read(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(values))
