"""The first layer of a model, where it rescales pixels, as the contract that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.keras_private import find_calls
from tfxfer.preprocessing import Preprocessing

__all__ = ["can_fold", "find_rescaling", "is_same", "preprocessing_of"]


def can_fold(preprocessing: Preprocessing) -> bool:
    """Whether the scale and zero point of a uint8 input can stand for the preprocessing."""
    # The zero point is a byte, and a scale is positive.
    mean = preprocessing.mean[0]
    return preprocessing.is_uniform and preprocessing.scale[0] > 0 and -0.5 <= mean <= 255.5


def find_rescaling(model: Any) -> Any:
    """Returns the `Rescaling` that alone reads the model's pixels; None where there is none."""
    import keras

    operations = getattr(model, "operations", [])
    first = next((x for x in operations if not isinstance(x, keras.layers.InputLayer)), None)
    # The only reader of the pixels: otherwise what is left has two inputs.
    readers = [
        layer
        for layer in operations
        for node in find_calls(layer)
        if any(tensor is model.inputs[0] for tensor in node.input_tensors)
    ]
    if isinstance(first, keras.layers.Rescaling) and readers == [first]:
        return first
    return None


def preprocessing_of(layer: Any) -> Preprocessing | None:
    """Returns what a `Rescaling` does; None where no contract of three channels can say it."""
    scale, offset = (
        np.asarray(item, np.float64).reshape(-1) for item in (layer.scale, layer.offset)
    )
    if any(item.size not in (1, 3) or not np.isfinite(item).all() for item in (scale, offset)):
        return None
    if (scale == 0).any():
        return None
    triples = [np.broadcast_to(item, (3,)).tolist() for item in (scale, offset)]
    return Preprocessing(scale=triples[0], offset=triples[1])


def is_same(one: Preprocessing | None, other: Preprocessing) -> bool:
    """Whether both make the same of pixels, to the precision of float32."""
    return one is not None and np.allclose(
        [one.scale, one.offset], [other.scale, other.offset], rtol=1e-5, atol=1e-7
    )
