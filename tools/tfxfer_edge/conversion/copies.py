"""Copies of a Keras model with some of its layers made anew, nested models included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfxfer.keras_private import flatten_layers

__all__ = ["as_float32", "copy_model"]

_POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy"})
_ROUGH = frozenset({"bfloat16", "float16", "mixed_bfloat16", "mixed_float16"})

_BYTES = frozenset({"uint8"})  # pixels, which are the same numbers in float32


def copy_model(model: Any, copy_layer: Callable[[Any], Any]) -> Any:
    """Returns a model with the same weights, whose layers are others.

    The layers of the model itself stay as they are: a layer called once more has no `output` of its
    own any longer, and the model may be somebody's.

    Args:
        model: functional or sequential; models in it are copied likewise.
        copy_layer: returns a new layer with as many weights.

    Raises:
        NotImplementedError: a layer of somebody's own that does not say how it is made.
    """
    copy = _copy_graph(model, copy_layer, {})
    copy.set_weights(model.get_weights())
    return copy


def _copy_graph(model: Any, copy_layer: Callable[[Any], Any], made: dict[int, Any]) -> Any:
    import keras

    def copy(layer: Any) -> Any:
        if id(layer) not in made:  # one that is called twice stays one
            is_graph = hasattr(layer, "operations") or isinstance(layer, keras.Sequential)
            made[id(layer)] = (
                _copy_graph(layer, copy_layer, made) if is_graph else copy_layer(layer)
            )
        return made[id(layer)]

    if isinstance(model, keras.Sequential):
        return keras.Sequential(
            [_copy_input(model.inputs[0]), *map(copy, model.layers)], name=model.name
        )
    inputs = keras.tree.map_structure(_copy_input, model.input)
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=copy)


def _copy_input(tensor: Any) -> Any:
    import keras

    # A sequential model that was built by its first call takes what its policy computes in.
    dtype = "float32" if tensor.dtype in _ROUGH | _BYTES else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def as_float32(model: Any) -> Any:
    """Returns the model itself, or a float32 copy: half precision and bytes do not convert."""
    layers = flatten_layers(model, include_self=False)
    if all(tensor.dtype not in _ROUGH | _BYTES for tensor in model.inputs) and all(
        getattr(layer, "compute_dtype", "float32") == "float32" for layer in layers
    ):
        return model
    return copy_model(
        model, lambda layer: type(layer).from_config(_set_float32(layer.get_config()))
    )


def _set_float32(config: Any, key: str = "") -> Any:
    """Returns a layer's config, and those of layers inside it, with another policy."""
    if isinstance(config, dict):
        if config.get("class_name") in _POLICIES:
            return "float32" if config["config"]["name"] in _ROUGH else config
        return {name: _set_float32(value, name) for name, value in config.items()}
    if isinstance(config, list):
        return [_set_float32(value) for value in config]
    return "float32" if key == "dtype" and config in _ROUGH else config
