"""Every private name of Keras that tfxfer and its plugins read, each behind a function.

Keras has no public way to walk a graph from a tensor to what it is computed from, or to list the
layers inside a layer that is no model. A release of Keras may move any of these names without a
word; then the function that reads it says which, and so does its test.
"""

from __future__ import annotations

from typing import Any

from tfxfer.errors import SetupError

__all__ = [
    "TRIED",
    "copy_decay_exclusions",
    "find_calls",
    "find_source",
    "flatten_layers",
    "read_compile_arguments",
]

TRIED = "3.15"
"""The newest minor version of Keras in which all these names are known to be."""


def find_source(tensor: Any) -> tuple[Any, Any]:
    """Returns the operation that a Keras tensor comes from, and the node that is its call.

    Public are only the ends of a model, `model.inputs` and `model.outputs`; and
    `keras.utils.get_source_inputs` walks every path of a graph, of which there may be 2 ** 25.

    Args:
        tensor: output of a layer or an operation, or an input.

    Returns:
        The operation, a layer or a function, and a node with `is_input`, `input_tensors` and
        `output_tensors`. Each call of an operation has one node: compare them by identity.

    Raises:
        SetupError: this Keras has moved one of the names.
    """
    operation, index, _ = _read(tensor, "_keras_history")
    return operation, _read(operation, "_inbound_nodes")[index]


def find_calls(operation: Any) -> list[Any]:
    """Returns the nodes of an operation, one for each time that it was called.

    `layer.input` and `layer.output` are public, and raise for a layer that was called twice.

    Args:
        operation: of `model.operations`, so a layer or a function of `keras.ops`.

    Returns:
        Nodes as `find_source` describes them, in order of the calls.

    Raises:
        SetupError: this Keras has moved the name.
    """
    return list(_read(operation, "_inbound_nodes"))


def flatten_layers(layer: Any, *, include_self: bool = True, recursive: bool = True) -> list[Any]:
    """Returns the layers inside a layer, itself first.

    `model.layers` is public and ends at the layers of a model; what a layer of one's own holds,
    such as the BatchNormalization in a block of KerasHub's, only this finds.

    Args:
        layer: a layer or a model.
        include_self: whether the layer itself is one of them.
        recursive: whether to look into the layers that are found.

    Raises:
        SetupError: this Keras has moved the name.
    """
    return list(_read(layer, "_flatten_layers")(include_self=include_self, recursive=recursive))


def read_compile_arguments(model: Any) -> dict[str, Any]:
    """Returns what a model was compiled with, by the names of `compile`'s arguments.

    `model.get_compile_config()` is public and gives JSON, which a loss of a user's own that is
    registered nowhere does not survive.

    Args:
        model: compiled.

    Raises:
        SetupError: this Keras has moved the name.
    """
    return dict(_read(_read(model, "_compile_config"), "config"))


def copy_decay_exclusions(source: Any, target: Any) -> None:
    """Excludes from the weight decay of one optimizer what another one excludes.

    `exclude_from_weight_decay` is public; what it was called with is not, and no part of an
    optimizer's `get_config`. An optimizer on which nobody called it has none of these names.
    """
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))


def _read(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        import keras

        raise SetupError(
            f"keras {keras.__version__}: expected {type(owner).__name__}.{name}, a private name "
            f"that tfxfer reads. Received: none of that name. "
            f'pip install "keras=={TRIED}.*", or a newer tfxfer.'
        ) from None
