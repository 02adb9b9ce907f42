"""What layers are for as long as a phase lasts: precision and BatchNormalization's memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from tfxfer.backbone import BACKBONE_END
from tfxfer.stages import layers_up_to

__all__ = ["adapted_momentum", "saved_precision", "training_precision"]

_LEAST_MOMENTUM = 0.9  # what ten batches say; fewer say little


@contextlib.contextmanager
def adapted_momentum(model: Any, *, steps_per_epoch: int) -> Iterator[None]:
    """Lets trainable BatchNormalization follow within an epoch, for as long as the context lasts.

    Published networks keep 0.99 or 0.999 of their moving statistics at each step, which suits
    hundreds of thousands of steps. After the 1,600 steps of a small set a fifth of what they are
    is still what they were initialised with: MobileNetV3 trained so on 1,260 photos of steel
    fitted 99 % of them and guessed on all others.

    Args:
        model: about to be fitted.
        steps_per_epoch: batches in an epoch; half of one is what the statistics remember then.
    """
    momentum = max(_LEAST_MOMENTUM, 1 - 2 / max(1, steps_per_epoch))
    held = [
        (layer, layer.momentum)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    try:
        for layer, published in held:
            layer.momentum = min(published, momentum)
        yield
    finally:
        for layer, published in held:
            layer.momentum = published


@contextlib.contextmanager
def training_precision(model: Any, policy: str) -> Iterator[None]:
    """Computes a model's layers under a dtype policy; they are float32 again afterwards.

    Weights stay float32 throughout: `mixed_bfloat16` only changes what is computed. The head is
    left in float32: logits, probabilities and values of three digits cannot be told apart.
    """
    if policy == "float32":
        yield
        return
    with _policy(layers_up_to(model, BACKBONE_END), "float32", policy):
        yield


@contextlib.contextmanager
def saved_precision(model: Any, policy: str) -> Iterator[None]:
    """Shows, inside `training_precision(model, policy)`, a model that is saved as float32."""
    if policy == "float32":
        yield
        return
    with _policy(model.layers, policy, "float32"):
        yield


@contextlib.contextmanager
def _policy(layers: Sequence[Any], before: str, within: str) -> Iterator[None]:
    changed = [layer for layer in layers if layer.dtype_policy.name == before]
    try:
        for layer in changed:
            layer.dtype_policy = within
        yield
    finally:
        for layer in changed:
            layer.dtype_policy = before
