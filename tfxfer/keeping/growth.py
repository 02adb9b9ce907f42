"""A model's weights in one like it that has further labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from tfxfer.errors import ModelError

__all__ = ["copy_weights", "grow_weight"]


def grow_weight(earlier: np.ndarray, fresh: np.ndarray) -> np.ndarray | None:
    """Returns the weight of a layer that has been given further labels.

    Args:
        earlier: with an entry per earlier label along its last axis.
        fresh: as a new layer begins, with further entries after those.

    Shapes: earlier (…, labels), fresh (…, at least as many labels); returns the latter.

    Returns:
        None where the shapes differ in anything else.

    Example:
        >>> grow_weight(np.array([1.0, 2.0]), np.zeros(3)).tolist()
        [1.0, 2.0, 0.0]
    """
    if earlier.shape[:-1] != fresh.shape[:-1] or earlier.shape[-1:] > fresh.shape[-1:]:
        return None
    grown = fresh.copy()
    grown[..., : earlier.shape[-1]] = earlier
    return grown


def copy_weights(earlier: Any, model: Any, label_layers: Collection[str]) -> None:
    """Gives a model the weights of an earlier one, layer by layer.

    Args:
        earlier: a Keras model of the same backbone and head, with the first of the labels.
        model: with all of them; entries for further labels stay as they are.
        label_layers: names of the layers with an entry per label, see `Head.label_layers`.

    Raises:
        ModelError: the models differ in something else.
    """
    names = {layer.name for layer in earlier.layers}
    for layer in model.layers:
        fresh = layer.get_weights()
        if not fresh:
            continue
        known = earlier.get_layer(layer.name).get_weights() if layer.name in names else []
        found: list[np.ndarray | None] = [None] * len(fresh)
        if len(known) == len(fresh):
            found = [
                old if old.shape == new.shape else _grow(layer.name, old, new, label_layers)
                for old, new in zip(known, fresh, strict=True)
            ]
        if any(weight is None for weight in found):
            raise ModelError(
                f"layer {layer.name!r}: expected weights of shapes {[x.shape for x in fresh]} in "
                f"the earlier run. Received: {[x.shape for x in known]}. It was made by another "
                "version of the plugin, or its head takes no further labels."
            )
        layer.set_weights(found)


def _grow(
    name: str, earlier: np.ndarray, fresh: np.ndarray, label_layers: Collection[str]
) -> np.ndarray | None:
    return grow_weight(earlier, fresh) if name in label_layers else None
