"""Layers of KerasHub's that a saved model can be loaded with; needs Keras and KerasHub alone.

Some of KerasHub's layers, such as those that embed the patches of a ViT, return more or less in
`get_config` than their constructors take: Keras saves them and cannot load them. KerasHub itself
never asks that of them, since it saves the arguments of the whole backbone.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import keras

__all__ = ["KerasHubLayer", "UnknownArgumentError", "remake"]

_SPACES = {"keras.layers:": keras.layers, "keras.activations:": keras.activations}
"""Where classes and functions that are arguments are found again, by what is put before a name."""
_PLAIN = (bool, int, float, str, type(None))


class UnknownArgumentError(ValueError):
    """A layer was made with something that cannot be found out or written down."""


@keras.saving.register_keras_serializable("tfxfer_kerashub")
class KerasHubLayer(keras.layers.Layer):
    """One layer of KerasHub's, with the arguments of its constructor.

    Args:
        kind: `module:class`, inside KerasHub.
        arguments: plain values for that class.

    Raises:
        ValueError: `kind` is no layer of KerasHub's.
    """

    def __init__(self, kind: str, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.arguments = kind, dict(arguments)
        thawed = {key: _thaw(value) for key, value in self.arguments.items()}
        self.inner = _find_class(kind)(**thawed, name=self.name, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the layer's weights."""
        self.inner.build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Returns what the layer does; its only input may be a map or tokens."""
        return self.inner(inputs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind, "arguments": self.arguments}


def remake(layer: Any) -> Any:
    """Returns a new layer as `layer` is, without dropout, that Keras can save and load.

    Args:
        layer: of KerasHub's.

    Raises:
        UnknownArgumentError: an argument of its constructor cannot be found out.
    """
    config = _get_config(layer)
    parameters = inspect.signature(type(layer).__init__).parameters
    named = [
        name
        for name, parameter in parameters.items()
        if name not in ("self", "name", "dtype") and parameter.kind is not parameter.VAR_KEYWORD
    ]
    calm = {**config, **{key: 0.0 for key in config if _is_rate(key, config[key])}}
    if set(named) <= set(config):
        try:
            return type(layer).from_config(calm)
        except Exception:  # noqa: BLE001, S110 - of more than the constructor takes; see below
            pass
    arguments = {}
    for name in named:
        kept = config.get(name, parameters[name].default)
        value = getattr(layer, name, kept)
        if isinstance(value, keras.layers.Layer):  # an argument's name, and a part made with it
            value = kept
        value = _freeze(value)
        if not _is_plain(value):
            raise UnknownArgumentError(f"{type(layer).__name__} {layer.name!r}, {name}={value!r}")
        arguments[name] = 0.0 if _is_rate(name, value) else value
    kind = f"{type(layer).__module__}:{type(layer).__qualname__}"
    return KerasHubLayer(kind, arguments, name=layer.name)


def _get_config(layer: Any) -> dict[str, Any]:
    try:
        return dict(layer.get_config())
    # Where a layer of KerasHub's asks itself for what it has not, or serializes a class.
    except (AttributeError, TypeError):
        return {}


def _is_rate(name: str, value: Any) -> bool:
    return "drop" in name and isinstance(value, float)


def _find_class(kind: str) -> type[Any]:
    # The name may come from a stranger's file: nothing outside of KerasHub is imported for it.
    module, _, name = kind.partition(":")
    found = None
    if module.startswith("keras_hub."):
        found = getattr(importlib.import_module(module), name, None)
    if not inspect.isclass(found) or not issubclass(found, keras.layers.Layer):
        raise ValueError(f"KerasHubLayer: expected a layer of KerasHub's. Received: kind={kind!r}.")
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _freeze(value: Any) -> Any:
    name = getattr(value, "__name__", None)
    for prefix, space in _SPACES.items():
        if name is not None and value is getattr(space, name, None):
            return prefix + name
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_thaw, value))
    for prefix, space in _SPACES.items():
        if isinstance(value, str) and value.startswith(prefix):
            return getattr(space, value.removeprefix(prefix))
    return value
