"""Changes to a Keras graph that leave it flat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tfxfer.errors import ModelError, WeightsError
from tfxfer.keras_private import find_source

__all__ = [
    "copy_weights",
    "find_inputs",
    "find_output",
    "list_operations",
    "list_parts",
    "name_anonymous",
    "replace_layers",
]

# What Keras's longer class names are called in a layer's name.
_WORDS = {
    "Activation": "act",
    "BatchNormalization": "bn",
    "Concatenate": "concat",
    "Conv2D": "conv",
    "Cropping2D": "crop",
    "LayerNormalization": "norm",
    "ReLU": "act",
    "ZeroPadding2D": "pad",
}


def find_inputs(tensor: Any) -> list[Any]:
    """Returns the input tensors that a Keras tensor is computed from.

    Source:
        What `keras.utils.get_source_inputs` does, which walks every path of the graph: the
        additions and squeeze-excites of EfficientNet-B0 make 2 ** 25 of them, 57 s measured.
    """
    found, seen, waiting = [], set(), [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        _, node = find_source(current)
        if node.is_input:
            found.append(current)
        waiting.extend(node.input_tensors)
    return found


def find_output(model: Any, name: str) -> Any:
    """Returns what a layer puts out in the graph of one model.

    `layer.output` is what it put out first: of the part of a model after a cut, which shares its
    layers, that is a tensor of another graph.

    Args:
        model: a Keras model.
        name: of one of its layers.

    Raises:
        ModelError: it has no such layer on the way to its outputs.
    """
    seen, waiting = set(), list(model.outputs)
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        operation, node = find_source(current)
        if operation.name == name:
            return current
        waiting.extend(node.input_tensors)
    raise ModelError(
        f"model {model.name!r}: expected a layer {name!r} that its outputs are computed from. "
        f"Received: layers={[layer.name for layer in model.layers][-5:]}, and those before."
    )


def replace_layers(output: Any, replacement: Callable[[Any], Any | None]) -> Any:
    """Returns `output` of the same graph, rebuilt from its inputs with some layers exchanged.

    Every layer on the way is made anew, with a single node, so that `layer.output` means this
    graph; weights are random again. This is how a rescale or a Dropout that Keras Applications
    builds in is taken out. A `Sequential` on the way is opened: its layers take its place.

    Args:
        output: Keras tensor.
        replacement: gets each layer and each operation that is no layer, such as a `+`; returns
            the one to put in its place or None to keep its kind. An `Add` layer may stand for a
            `+`.

    Shapes: the replacement must keep its input's shape, or what follows cannot be called.

    Source:
        `keras.models.clone_model(clone_function=…)`; its `input_tensors=` is only given true
        inputs, since it drops what comes before any other tensor.
    """
    import keras

    sources = find_inputs(output)
    model = keras.Model(sources, output)

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.Sequential):
            return layer
        chosen = replacement(layer)
        return type(layer).from_config(layer.get_config()) if chosen is None else chosen

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Sequential):
            (tensor,) = args
            for inner in layer.layers:
                tensor = call(clone(inner), tensor)
            return tensor
        if isinstance(layer, keras.layers.Add) and len(args) > 1:
            return layer(list(args))  # in place of a `+`, which takes its terms one by one
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        model, input_tensors=sources, clone_function=clone, call_function=call
    ).output


def list_operations(output: Any, *, inputs: Any) -> list[Any]:
    """Returns what lies between two Keras tensors of a graph, layers and others, inputs first."""
    import keras

    sources = find_inputs(output)
    before = {id(operation) for operation in keras.Model(sources, inputs).operations}
    return [op for op in keras.Model(sources, output).operations if id(op) not in before]


def list_parts(operation: Any) -> list[Any]:
    """Returns the layers inside of a model that is a layer, in order; else the operation itself."""
    import keras

    if not isinstance(operation, keras.Model):
        return [operation]
    inner = [x for x in operation.layers if not isinstance(x, keras.layers.InputLayer)]
    return [part for layer in inner for part in list_parts(layer)]


def name_anonymous(operations: Sequence[Any]) -> dict[int, str]:
    """Returns a name for every operation that was given none, by the operation's `id`.

    Keras numbers those through the whole process (`conv2d_17`), so that a second build would have
    other names than the run that was saved. Here they are named after the last operation before
    them that has a name of its own, and counted from there: `mixed0_conv`, `mixed0_conv_2`. Those
    that follow none are called `stem_conv` and so on.

    Args:
        operations: a network's, inputs first; each called once. Of a `Sequential` its layers are
            named, as `replace_layers` puts them in its place.
    """
    import keras

    parts = [part for operation in operations for part in list_parts(operation)]
    taken = {part.name for part in parts if not _is_anonymous(part)}
    names: dict[int, str] = {}
    anchors: dict[int, tuple[int, str]] = {}  # by tensor: position and name of the last named one
    counts: Counter[str] = Counter()
    for position, operation in enumerate(operations):
        terms = keras.tree.flatten(operation.input)
        anchor = max(anchors.get(id(tensor), (-1, "stem")) for tensor in terms)
        for part in list_parts(operation):
            if not _is_anonymous(part):
                anchor = (position, part.name)
                continue
            name = base = f"{anchor[1]}_{_word(part)}"
            while name in taken:
                counts[base] += 1
                name = f"{base}_{counts[base] + 1}"
            taken.add(name)
            names[id(part)] = name
        anchors.update((id(tensor), anchor) for tensor in keras.tree.flatten(operation.output))
    return names


def _is_anonymous(operation: Any) -> bool:
    return re.fullmatch(rf"{_default_name(operation)}(_\d+)?", operation.name) is not None


def _default_name(operation: Any) -> str:
    """Returns what Keras calls the first operation of a class: `max_pooling2d`."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _word(operation: Any) -> str:
    kind = type(operation).__name__
    return "pool" if kind.endswith("Pooling2D") else _WORDS.get(kind, _default_name(operation))


def copy_weights(
    source: Any,
    target: Any,
    *,
    rename: Callable[[Any], str | None] | None = None,
    read: Callable[[Any], list[Any]] | None = None,
) -> int:
    """Copies the weights of every layer of `source` to the layer of that name in `target`.

    Nothing is copied before everything is known to fit, so a failure leaves `target` as it was.
    Layers of `target` that `source` lacks, such as a head, keep what they have.

    Args:
        source: `keras.Model` that holds the weights, models inside it included.
        target: `keras.Model` that receives them.
        rename: gets a layer of `source`, returns what `target` calls it, or None for one whose
            weights are not wanted there; all have their own names without it.
        read: gets a layer of `source`, returns its arrays as `target` has them; without it they
            are the same.

    Returns:
        Number of arrays copied.

    Raises:
        WeightsError: a layer of `source` is missing in `target`, or its arrays have other shapes.
    """
    receivers = {layer.name: layer for layer in list_parts(target)}
    pairs = []
    for layer in list_parts(source):
        name = rename(layer) if rename is not None else layer.name
        if not layer.weights or name is None:
            continue
        receiver = receivers.get(name)
        if receiver is None:
            raise WeightsError(
                f"cannot copy weights: expected a layer {name!r} in the model. "
                f"Received: model={target.name!r} without it."
            )
        values = read(layer) if read is not None else layer.get_weights()
        expected = [tuple(w.shape) for w in receiver.weights]
        received = [tuple(value.shape) for value in values]
        if expected != received:
            raise WeightsError(
                f"cannot copy weights of layer {name!r}: expected shapes {expected}. "
                f"Received: shapes={received}."
            )
        pairs.append((values, receiver))
    for values, receiver in pairs:
        receiver.set_weights(values)
    return sum(len(values) for values, _ in pairs)
