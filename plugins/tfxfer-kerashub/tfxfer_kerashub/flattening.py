"""A network of KerasHub's as one flat graph, and where that graph can be cut.

KerasHub puts blocks into layers of its own: an inverted residual block with its batch
normalizations is one layer, and so is a whole transformer encoder. What can freeze, cut and cache
needs those normalizations and those blocks as layers of the graph itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfxfer.backbone import Stage
from tfxfer.keras_private import find_source, flatten_layers
from tfxfer.surgery import replace_layers
from tfxfer_kerashub.errors import PresetError, first_line

__all__ = ["Flat", "attach", "expand", "find_stages", "find_trunk"]

ENTRY, FEATURES = "preset_images", "preset_features"
_END = "_end"
# How KerasHub's own graphs name the layers of a block: stack0_block1_out, block2a_project_bn.
_BLOCK = re.compile(r"(?P<block>(\w+_)?block_?\d+[a-z]?(_\d+)?)_.+")


@dataclass(frozen=True)
class Flat:
    """A graph of the network's own layers, from an input to its features.

    Args:
        graph: a `keras.Model`; its last layer is called `FEATURES`.
        blocks: names of the layers at which blocks may end, by the block's name.
        levels: the same for the levels of a feature pyramid.
    """

    graph: Any
    blocks: dict[str, str]
    levels: dict[str, str]


def find_trunk(network: Any, *, name: str) -> Any:
    """Returns the untouched network as a model of one image and one kind of features.

    Args:
        network: KerasHub's model.
        name: of the preset, for messages.

    Raises:
        PresetError: it has other inputs, or several outputs of which none is behind all others.
    """
    import keras

    inputs = network.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise PresetError(
            f"{name}: expected a network of one image. "
            f"Received: inputs={[tuple(tensor.shape) for tensor in inputs]}."
        )
    outputs = network.outputs
    if len(outputs) > 1:
        # Of several levels, the one that all others lead to.
        everything = len(network.operations)
        outputs = [
            tensor
            for tensor in outputs
            if len(keras.Model(inputs[0], tensor).operations) == everything
        ][-1:]
    if not outputs or not 2 <= len(outputs[0].shape) <= 4:
        raise PresetError(
            f"{name}: expected one map, vector or set of tokens as features. "
            f"Received: outputs={[tuple(tensor.shape) for tensor in network.outputs]}."
        )
    return keras.Model(inputs[0], outputs[0])


def expand(network: Any, *, name: str) -> Flat:
    """Returns the graph of `network`, its layers shared, with blocks opened up.

    Args:
        network: KerasHub's model.
        name: of the preset, for messages.

    Raises:
        PresetError: see `find_trunk`; or it hides a model or a batch normalization that cannot be
            brought into the graph.
    """
    import keras

    graph, opener = find_trunk(network, name=name), _LayerUnpacker(name)
    while any(map(opener.should_open, graph.layers)):
        graph = keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=opener.call
        )
    _refuse_hidden(graph, name)
    end = keras.layers.Identity(name=FEATURES)(graph.outputs[0])
    graph = keras.Model(graph.inputs[0], end)
    blocks = {}
    for layer in graph.layers:
        if opener.is_block(layer):
            blocks[layer.name] = layer.name
        elif (match := _BLOCK.fullmatch(layer.name)) and not opener.ends:
            blocks[match["block"]] = layer.name  # the last of its layers, in order of the graph
    pyramid = getattr(network, "pyramid_outputs", {})
    levels = {level.lower(): find_source(tensor)[0].name for level, tensor in pyramid.items()}
    return Flat(graph, blocks | opener.ends, levels)


def attach(flat: Flat, inputs: Any, *, name: str) -> Any:
    """Returns features of `inputs`: new layers of the graph's kinds and names, nothing random.

    Raises:
        PresetError: a layer does not keep its whole configuration, or stays random in training.
    """
    import keras

    from tfxfer_kerashub.layers import UnknownArgumentError

    caught = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        caught[layer.name] = layer(*args, **kwargs)
        return caught[layer.name]

    entry = keras.layers.Identity(name=ENTRY)(inputs)
    keras.models.clone_model(
        flat.graph,
        input_tensors=_like(flat.graph.input, entry),
        clone_function=lambda layer: layer,
        call_function=call,
    )
    try:
        output = replace_layers(caught[FEATURES], _make_calm)
    except UnknownArgumentError as error:
        raise PresetError(
            f"{name}: expected layers that can be made again. Received: {error}. Take another "
            "family, such as ResNet, EfficientNet or ViT."
        ) from error
    _check_rebuilt(flat.graph, output, name)
    return output


def find_stages(flat: Flat) -> tuple[Stage, ...]:
    """Returns the ends of blocks at which one tensor is all that what follows needs, in order.

    Where blocks have no such end, the levels of the feature pyramid that have one.
    """
    return _find_cuts(flat.graph, flat.blocks) or _find_cuts(flat.graph, flat.levels)


def _find_cuts(graph: Any, named: dict[str, str]) -> tuple[Stage, ...]:
    nodes = list(_walk(graph.outputs[0]))
    last_use = {
        id(tensor): index for index, (_, node) in enumerate(nodes) for tensor in node.input_tensors
    }
    layers = {layer.name for layer in graph.layers}
    blocks = {end: block for block, end in named.items() if end in layers}
    stages: list[Stage] = []
    alive: set[int] = set()
    for index, (operation, node) in enumerate(nodes):
        made = {id(tensor) for tensor in node.output_tensors}
        alive = {key for key in alive | made if last_use.get(key, len(nodes)) > index}
        if operation.name not in blocks or len(made) > 1 or alive != made:
            continue
        stages.append(Stage(blocks[operation.name], operation.name))
    return tuple(stages)


class _LayerUnpacker:
    """Calls layers, and what is inside of those that can be opened.

    Args:
        name: of the preset, for messages.

    Attributes:
        ends: the last layer of each block that was opened, by the block's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed: set[int] = set()
        self._parts: set[int] = set()
        self.ends: dict[str, str] = {}

    def is_block(self, layer: Any) -> bool:
        """Whether it is a block that stays closed, and not a part of one that was opened."""
        return _is_composite(layer) and id(layer) not in self._parts

    def should_open(self, layer: Any) -> bool:
        """Whether what is inside must stand in the graph itself, and can.

        Blocks without BatchNormalization stay closed: what they do with shapes often works only
        where those are known.
        """
        if not _is_composite(layer) or id(layer) in self._closed:
            return False
        held = {id(weight) for part in _inside(layer) for weight in part.weights}
        if any(id(weight) not in held for weight in layer.weights):
            return False  # a weight of its own, such as a class token, has no other place
        return _holds_batch_norm(layer) or _is_run_of_blocks(layer)

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls `layer`, or what is in it; a `call_function` of `keras.models.clone_model`."""
        import keras

        is_part = id(layer) in self._parts
        if not self.should_open(layer):
            return layer(*args, **kwargs)
        block = layer.name.strip("_")
        _rename_inside(layer, block)
        try:
            outputs = layer.call(*args, **kwargs)
        except Exception as error:  # Python that asks symbolic tensors for their values
            if not _holds_batch_norm(layer):
                self._closed.add(id(layer))
                return self.call(layer, *args, **kwargs)
            raise PresetError(
                f"{self._name}: expected blocks that can be laid open, since their "
                f"BatchNormalization must be held still. Received: {type(layer).__name__} "
                f"{layer.name!r}: {first_line(error)}. Take another family."
            ) from error
        if is_part or not _is_run_of_blocks(layer):
            self._parts |= {id(part) for part in _inside(layer)}
            is_block = not is_part and isinstance(outputs, keras.KerasTensor)
        else:
            is_block = False
        if is_block:
            # What an addition is called depends on how many there were before in the process.
            outputs = keras.layers.Identity(name=f"{block}{_END}")(outputs)
            self.ends[block] = f"{block}{_END}"
        return outputs


def _inside(layer: Any, *, recursive: bool = True) -> list[Any]:
    import keras

    if not isinstance(layer, keras.layers.Layer):
        return []
    return flatten_layers(layer, include_self=False, recursive=recursive)


def _is_composite(layer: Any) -> bool:
    """Whether it is a layer of KerasHub's with layers inside."""
    return not type(layer).__module__.startswith("keras.") and bool(_inside(layer))


def _is_run_of_blocks(layer: Any) -> bool:
    kinds = [type(part) for part in _inside(layer, recursive=False) if _is_composite(part)]
    return len(kinds) > len(set(kinds))


def _holds_batch_norm(layer: Any) -> bool:
    import keras

    return any(isinstance(item, keras.layers.BatchNormalization) for item in _inside(layer))


def _rename_inside(layer: Any, block: str) -> None:
    taken: set[str] = set()
    for part in _inside(layer, recursive=False):
        kind = _snake_case(type(part).__name__)
        # Keras numbers what has no name through the whole process.
        given = kind if re.fullmatch(rf"{kind}_\d+", part.name) else part.name
        name = given if given.startswith(block) else f"{block}_{given}"
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        part.name = unique


def _snake_case(name: str) -> str:
    """Returns what Keras calls the first layer of a class: `Conv2D` is `conv2d`."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _refuse_hidden(graph: Any, name: str) -> None:
    import keras

    for layer in graph.layers:
        if isinstance(layer, keras.Model):
            what = f"a model inside it, {layer.name!r}"
        elif isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            what = f"{type(layer).__name__} {layer.name!r}, which changes pixels a second time"
        elif not isinstance(layer, keras.layers.BatchNormalization) and _holds_batch_norm(layer):
            what = f"BatchNormalization inside {type(layer).__name__} {layer.name!r}"
        else:
            continue
        raise PresetError(
            f"{name}: expected a network that can be made flat. Received: {what}. "
            "Take another family, such as ResNet, EfficientNet or ViT."
        )


def _make_calm(layer: Any) -> Any | None:
    """Returns what takes the place of a layer that is random in training; None for others."""
    import keras

    kind = type(layer).__name__
    if kind.endswith(("Dropout", "DropPath", "GaussianNoise", "Identity")):
        return keras.layers.Identity(name=layer.name)
    if type(layer).__module__.startswith("keras."):
        config = layer.get_config()
        rates = [key for key, value in config.items() if "drop" in key and isinstance(value, float)]
        return type(layer).from_config({**config, **dict.fromkeys(rates, 0.0)}) if rates else None
    from tfxfer_kerashub.layers import remake

    return remake(layer)


def _check_rebuilt(graph: Any, output: Any, name: str) -> None:
    import keras

    rebuilt = {operation.name: operation for operation, _ in _walk(output)}
    for layer in graph.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        new = rebuilt[layer.name]
        if [tuple(w.shape) for w in layer.weights] != [tuple(w.shape) for w in new.weights]:
            raise PresetError(
                f"{name}: expected layers that keep their whole configuration. Received: "
                f"{type(layer).__name__} {layer.name!r}, rebuilt with other weights: a saved "
                "model could not be loaded. Take another preset."
            )
        for part in (new, *_inside(new)):
            rate = getattr(part, "rate", getattr(part, "drop_prob", 0))
            if "Drop" in type(part).__name__ and rate:
                raise PresetError(
                    f"{name}: expected nothing random. Received: {type(part).__name__} with "
                    f"rate={rate} inside {layer.name!r}. Take another preset."
                )


def _like(structure: Any, tensor: Any) -> Any:
    import keras

    return keras.tree.map_structure(lambda _: tensor, structure)


def _walk(output: Any) -> Iterator[tuple[Any, Any]]:
    """Yields (operation, node) of everything `output` is computed from, inputs first."""
    done, waiting = set(), [(output, False)]
    while waiting:
        tensor, is_ready = waiting.pop()
        operation, node = find_source(tensor)
        if id(node) in done:
            continue
        if is_ready:
            done.add(id(node))
            yield operation, node
        else:
            waiting.append((tensor, True))
            waiting.extend((parent, False) for parent in node.input_tensors)
