"""The first layer of a model, where it rescales pixels, as the contract that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer.keras_private import find_calls, find_source
from tfxfer.preprocessing import Preprocessing
from tfxfer_edge.conversion.copies import copy_model

__all__ = ["can_fold", "find_rescaling", "is_same", "preprocessing_of", "take_out_rescaling"]


def can_fold(preprocessing: Preprocessing) -> bool:
    """Whether the scale and zero point of a uint8 input can stand for the preprocessing."""
    # The zero point is a byte, and a scale is positive.
    mean = preprocessing.mean[0]
    return preprocessing.is_uniform and preprocessing.scale[0] > 0 and -0.5 <= mean <= 255.5


def find_rescaling(model: Any) -> Any:
    """Returns the `Rescaling` that alone reads the model's pixels; None where there is none.

    It may be the first layer of a model that is the first layer of this one, and so on.
    """
    import keras

    # What a sequential model is made of, it does not call operations.
    operations = getattr(model, "operations", None) or model.layers
    first = next((x for x in operations if not isinstance(x, keras.layers.InputLayer)), None)
    pixels = model.inputs[0]
    # The only reader of the pixels: otherwise what is left has two inputs. A sequential model calls
    # its layers anew for each that it is given, so one reader may have several calls.
    readers = [
        layer
        for layer in operations
        for node in find_calls(layer)
        if any(tensor is pixels for tensor in node.input_tensors)
    ]
    if first is None or set(readers) != {first} or _is_called_again(first, operations):
        return None
    if isinstance(first, keras.layers.Rescaling):
        return first
    is_graph = isinstance(first, keras.Sequential) or hasattr(first, "operations")
    return find_rescaling(first) if is_graph and len(first.inputs) == 1 else None


def _is_called_again(first: Any, operations: Any) -> bool:
    """Whether a layer is called on something else than the pixels, too, within one model."""
    import keras

    inner = [x for x in operations if not isinstance(x, keras.layers.InputLayer)]
    return any(
        find_source(tensor)[0] is operation
        for node in find_calls(first)
        for tensor in node.input_tensors
        for operation in inner
    )


def take_out_rescaling(model: Any) -> Any:
    """Returns the model behind what `find_rescaling` finds, with the same weights.

    None where that takes a copy, and a layer cannot be copied.
    """
    import keras

    first = find_rescaling(model)
    if any(layer is first for layer in model.layers) and len(find_calls(first)) == 1:
        return keras.Model(first.output, model.outputs[0], name=model.name)

    def copy(layer: Any) -> Any:
        if layer is first:
            return keras.layers.Identity(name=layer.name)
        return type(layer).from_config(layer.get_config())

    try:
        return copy_model(model, copy)
    except NotImplementedError:
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
