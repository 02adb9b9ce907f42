"""Where a model is cut in two, and what a cache of that place takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from tfxfer.data.trimming import Trimming
from tfxfer.errors import ModelError
from tfxfer.keras_private import find_source
from tfxfer.stages import get_info, stage_tensor
from tfxfer.surgery import find_inputs

__all__ = [
    "ACTIVATIONS",
    "cache_bytes",
    "find_crossing",
    "find_trimming",
    "input_shapes",
    "list_ancestors",
    "list_crossing",
    "list_prefix_inputs",
    "make_prefix",
    "make_suffix",
    "stage_shape",
]

ACTIVATIONS = "activations"
"""Name of the cut's own tensor beside the inputs that cross it."""


def input_shapes(model: keras.Model) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of one sample's inputs, in order, as they are read: padded ones whole."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if not any(None in shape for shape in shapes):
        return tuple(shapes)
    info = get_info(model)
    specs = info.modality.list_inputs(info.size, info.preprocessing)
    return tuple(specs[tensor.name].shape for tensor in model.inputs)


def stage_shape(model: keras.Model, stage: str | None) -> tuple[int, ...]:
    """Returns the shape of one sample's activations at the end of a stage, of whole inputs."""
    shape = tuple(stage_tensor(model, stage).shape[1:])
    if None not in shape:
        return tuple(int(side) for side in shape)
    if stage is None:
        return input_shapes(model)[0]
    whole = input_shapes(model)
    given = [(None, *whole[i]) for i in list_prefix_inputs(model, [stage])]
    (found,) = make_prefix(model, [stage]).compute_output_shape(
        given if len(given) > 1 else given[0]
    )
    return tuple(int(side) for side in found[1:])


def find_trimming(model: keras.Model, stage: str | None, *, is_cached: bool) -> Trimming | None:
    """Returns how batches of a phase are cut to what their samples use; None where they are not.

    Args:
        model: from `build_model`.
        stage: the phase's frontier.
        is_cached: whether its batches are what lies there, or the model's inputs.
    """
    info = get_info(model)
    specs = info.modality.list_inputs(info.size, info.preprocessing)
    of_inputs = Trimming.of_inputs(info.modality, specs)
    if of_inputs is None or not is_cached or stage is None:
        return of_inputs
    names = (ACTIVATIONS, *(model.inputs[i].name for i in list_crossing(model, stage)))
    padded = {name for name in names if name in of_inputs.padded}
    tensor = stage_tensor(model, stage)
    # A stage that strides along the samples has another length, which nobody knows how to cut.
    if len(tensor.shape) > 2 and tensor.shape[1] is None:
        if stage_shape(model, stage)[0] != of_inputs.longest:
            return None
        padded.add(ACTIVATIONS)
    return replace(of_inputs, names=names, padded=frozenset(padded)) if padded else None


def list_crossing(model: keras.Model, stage: str | None) -> tuple[int, ...]:
    """Returns which of the model's inputs what follows a stage reads itself, by position.

    A text's padding mask is one: every block reads it. Layers without weights between such an input
    and its reader, such as the mask's reshape, belong to both sides. Where nothing is frozen, all
    inputs are read.

    Raises:
        ModelError: the stage's end is not the only computed tensor that crosses the boundary.
    """
    if stage is None:
        return tuple(range(len(model.inputs)))
    inputs, layers = find_crossing(stage_tensor(model, stage), model.outputs)
    if layers:
        raise ModelError(
            f"model {model.name!r}: expected stage {stage!r} to end at the only computed "
            f"tensor that what follows needs. Received: layer {layers[0]!r} crosses, too. "
            "Let the stage end after the addition."
        )
    found = {id(tensor) for tensor in inputs}
    return tuple(i for i, tensor in enumerate(model.inputs) if id(tensor) in found)


def find_crossing(end: Any, outputs: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Returns what outputs are computed from beside a tensor that a graph is cut at.

    Returns:
        The graph's inputs, which are at hand on both sides; and the names of layers before the cut
        that have weights, which are not: the cut is none where there are any.
    """
    before = list_ancestors(end)
    inputs, layers = [], []
    waiting, seen = list(outputs), {id(end)}
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation, node = find_source(tensor)
        if node.is_input:
            inputs.append(tensor)
        elif id(tensor) in before and getattr(operation, "weights", None):
            layers.append(operation.name)
            continue
        waiting.extend(node.input_tensors)
    return inputs, layers


def list_prefix_inputs(model: keras.Model, stages: Sequence[str]) -> tuple[int, ...]:
    """Returns which of the model's inputs some stages are computed from, by position."""
    found = {id(x) for stage in stages for x in find_inputs(stage_tensor(model, stage))}
    return tuple(i for i, tensor in enumerate(model.inputs) if id(tensor) in found)


def make_prefix(model: keras.Model, stages: Sequence[str]) -> Any:
    """Returns the part of the model up to some stages, sharing its layers and weights.

    Shapes: maps the inputs that `list_prefix_inputs` names to the ends of the stages.
    """
    inputs = [model.inputs[i] for i in list_prefix_inputs(model, stages)]
    ends = [stage_tensor(model, stage) for stage in stages]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], ends)


def make_suffix(model: keras.Model, stage: str | None, *, ends: Sequence[str] = ()) -> Any:
    """Returns the part of the model after a stage, sharing its layers and weights.

    Args:
        model: from `build_model`.
        stage: that it begins after; None is the inputs.
        ends: later stages whose ends it returns, too, before the model's outputs.

    Shapes: maps activations (batch, …) at the end of the stage to the model's outputs; a list of
        them and of the model's inputs that cross the boundary, where there are any.

    Raises:
        ModelError: see `list_crossing`.
    """
    outputs = [*(stage_tensor(model, name) for name in ends), *model.outputs]
    if stage is None:
        inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
        return keras.Model(inputs, outputs) if ends else model
    end = stage_tensor(model, stage)
    crossing = [model.inputs[i] for i in list_crossing(model, stage)]
    return keras.Model([end, *crossing] if crossing else end, outputs, name=f"after_{stage}")


def cache_bytes(
    model: keras.Model,
    stages: Sequence[str | None],
    *,
    images: int,
    views: int,
    itemsize: int = 2,
    input_itemsizes: Sequence[int] = (1,),
) -> int:
    """Returns what caching these stages takes.

    Args:
        model: from `build_model`.
        stages: the boundaries; None stands for the inputs themselves, stored as they come.
        images: how many samples.
        views: of each.
        itemsize: bytes of an activation.
        input_itemsizes: bytes of a value of each of the model's inputs.
    """
    total = 0
    shapes = input_shapes(model)
    for stage in stages:
        if stage is not None:
            total += itemsize * math.prod(stage_shape(model, stage))
        for position in list_crossing(model, stage):
            shape = shapes[position]
            total += input_itemsizes[position] * math.prod(int(side) for side in shape)
    return images * views * total


def list_ancestors(tensor: Any) -> set[int]:
    """Returns the identities of all tensors that one is computed from, itself included."""
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            waiting.extend(find_source(current)[1].input_tensors)
    return seen
