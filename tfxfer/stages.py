"""What a flat model knows of itself: its stages, and what is frozen up to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from tfxfer.backbone import BACKBONE_END, Stage
from tfxfer.depth import resolve_stage
from tfxfer.errors import ModelError, ScheduleError
from tfxfer.fine_tuning import FineTuning
from tfxfer.head import Head
from tfxfer.keras_private import find_source
from tfxfer.modality import Modality
from tfxfer.surgery import find_inputs
from tfxfer.system.arguments import describe_value
from tfxfer.weights import ResolvedWeights

__all__ = [
    "MADE_FOR_PHASE",
    "ModelInfo",
    "attach_info",
    "count_parameters",
    "freeze_to",
    "get_info",
    "layers_up_to",
    "map_layers_to_stages",
    "set_trainable",
    "stage_tensor",
]

MADE_FOR_PHASE = "tfxfer_made_for_phase"
"""Attribute of an optimizer that `fit` made: a model that has it was not compiled by its user."""


@dataclass(frozen=True)
class ModelInfo:
    """What a plain `keras.Model` does not say of itself.

    Args:
        backbone: the plugin's name.
        head: the task.
        labels: names of the outputs, in order.
        modality: what it reads.
        size: of its input, in the modality's unit.
        preprocessing: what the weights expect of raw values; the first layer does it to pixels.
        stages: the backbone's cuts in order; the last is always `backbone`, after pooling.
        weights: what the backbone started from.
        quantization: what is known to hurt int8.
        has_own_head: False where somebody put outputs of their own on the backbone: what they are
            is then said by how the model is compiled, and `labels` are empty unless there is one
            for each output.
        fine_tuning: how it is best trained where its user says nothing.
    """

    backbone: str
    head: Head
    labels: tuple[str, ...]
    modality: Modality
    size: int
    preprocessing: Any
    stages: tuple[Stage, ...]
    weights: ResolvedWeights = field(default_factory=lambda: ResolvedWeights("unknown"))
    quantization: tuple[str, ...] = ()
    has_own_head: bool = True
    fine_tuning: FineTuning = field(default_factory=FineTuning)


def attach_info(model: keras.Model, info: ModelInfo) -> None:
    """Lets a model remember its stages and labels; checks that they are true of it.

    Raises:
        ModelError: a nested model, or a stage whose layer is not there.
    """
    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        raise ModelError(
            f"model {model.name!r}: expected a flat graph. Received: nested models {nested}. "
            "Build the backbone's layers directly on the inputs."
        )
    names = {layer.name for layer in model.layers}
    missing = [stage.end for stage in info.stages if stage.end not in names]
    if missing:
        raise ModelError(
            f"model {model.name!r}: expected every stage to end at one of its layers. "
            f"Received: stages that end at {missing[:3]}."
        )
    model.tfxfer_info = info
    # Another `keras.Model` of these layers, with a head of its author's, is found again by them.
    if info.stages:
        model.get_layer(info.stages[-1].end).tfxfer_origin = info
        find_source(model.outputs[0])[0].tfxfer_outputs_of = info


def get_info(model: keras.Model) -> ModelInfo:
    """Returns what `attach_info` stored, also of a model of the same layers with another head.

    Raises:
        ModelError: the model was not built by `build_model` nor loaded by `load_model`.
    """
    info = getattr(model, "tfxfer_info", None)
    if isinstance(info, ModelInfo):
        return info
    if not isinstance(model, keras.Model):
        raise ModelError(
            "model: expected a keras.Model from tfxfer.build_model or tfxfer.load_model. "
            f"Received: model={describe_value(model)}."
        )
    origin = _find_origin(model)
    if origin is not None:
        return origin
    raise ModelError(
        f"model {model.name!r}: expected one from tfxfer.build_model or tfxfer.load_model, which "
        "know its stages. For another Keras model call tfxfer.stages.attach_info first."
    )


def _find_origin(model: Any) -> ModelInfo | None:
    """Returns what is known of the backbone that a model's outputs stand on."""
    layers = getattr(model, "layers", [])
    found = [x.tfxfer_origin for x in layers if hasattr(x, "tfxfer_origin")]
    if len(found) != 1 or len(getattr(model, "outputs", [])) != 1:
        return None
    info: ModelInfo = found[0]
    output = model.outputs[0]
    if getattr(find_source(output)[0], "tfxfer_outputs_of", None) is info:
        return info
    fits = output.shape[-1] == len(info.labels)
    return replace(info, labels=info.labels if fits else (), has_own_head=False)


def stage_tensor(model: keras.Model, stage: str | None) -> Any:
    """Returns the tensor at which `stage` ends; the first input where `stage` is None.

    Raises:
        ScheduleError: the model has no such stage.
    """
    if stage is None:
        return model.inputs[0]
    info = get_info(model)
    ends = {item.name: item.end for item in info.stages}
    found = resolve_stage(stage, list(ends), where=f"model {model.name!r}", backbone=info.backbone)
    return model.inputs[0] if found is None else model.get_layer(ends[found]).output


def layers_up_to(model: keras.Model, stage: str | None) -> list[Any]:
    """Returns the layers that the end of `stage` is computed from, in order from the input."""
    if stage is None:
        return []
    end = stage_tensor(model, stage)
    return list(keras.Model(find_inputs(end), end).layers)


def map_layers_to_stages(model: keras.Model) -> dict[str, str | None]:
    """Returns the stage of every layer, by layer name; None for layers after the backbone."""
    stages: dict[str, str | None] = dict.fromkeys(layer.name for layer in model.layers)
    for stage in reversed(get_info(model).stages):
        stages.update(dict.fromkeys((x.name for x in layers_up_to(model, stage.name)), stage.name))
    return stages


def freeze_to(model: keras.Model, stage: str | float | None, *, batch_norm: bool = False) -> None:
    """Freezes everything up to the end of `stage` and makes everything after it trainable.

    A compiled model is compiled again, with a fresh optimizer of the same configuration: Keras
    collects the trainable weights when it compiles and would go on with the old ones.

    Args:
        model: from `build_model` or `load_model`.
        stage: name of a stage; `backbone` leaves the head alone trainable; None freezes nothing; a
            fraction, as in `Phase.stage`, freezes that share of the stages.
        batch_norm: also train the backbone's BatchNormalization after the frontier. By default it
            stays frozen, gamma, beta and statistics: those of a small batch are not ImageNet's,
            and `trainable=False` is the only thing that holds them still under `fit`.

    Raises:
        ModelError: it is no model whose stages are known.
        ScheduleError: it has no such stage, or the fraction is none.

    Example:
        tfxfer.freeze_to(model, "backbone")   # phase 1: the head
        tfxfer.freeze_to(model, "block_8")    # phase 2: what follows block_8, and the head
        tfxfer.freeze_to(model, 0.7)          # or: what follows the first 70 % of the stages
    """
    info = get_info(model)
    where = f"model {model.name!r}"
    if isinstance(stage, int):
        # 1 could be the first stage, all of them, or True.
        raise ScheduleError(
            f"{where}: expected a stage's name, None, or a fraction such as 0.5. "
            f"Received: stage={stage!r}."
        )
    names = [item.name for item in info.stages]
    end = resolve_stage(stage, names, where=where, backbone=info.backbone)
    set_trainable(model, end, batch_norm=batch_norm)
    if model.compiled:
        made = getattr(model.optimizer, MADE_FOR_PHASE, False)
        model.compile_from_config(model.get_compile_config())
        setattr(model.optimizer, MADE_FOR_PHASE, made)


def set_trainable(model: keras.Model, stage: str | None, *, batch_norm: bool = False) -> None:
    """Does what `freeze_to` does for a model that its caller compiles next.

    Where layers of the backbone have low-rank adapters, these alone train in it.

    Raises:
        ScheduleError: the model has no such stage.
    """
    frozen = {layer.name for layer in layers_up_to(model, stage)}
    # A head's own normalization starts from nothing and has to learn.
    pretrained = {layer.name for layer in layers_up_to(model, BACKBONE_END)}
    for layer in model.layers:
        is_held = isinstance(layer, keras.layers.BatchNormalization) and layer.name in pretrained
        layer.trainable = layer.name not in frozen and (batch_norm or not is_held)
    adapted = [layer for layer in model.layers if getattr(layer, "lora_enabled", False)]
    for layer in model.layers if adapted else ():
        if layer.name not in pretrained:
            continue
        if layer not in adapted:
            layer.trainable = False
            continue
        for weight in layer.weights:  # setting `trainable` has thawed the kernel, too
            weight.trainable = layer.trainable and weight.name.startswith("lora_")


def count_parameters(weights: Sequence[Any]) -> int:
    """Returns how many numbers a list of Keras variables holds."""
    import math

    return sum(math.prod(weight.shape) for weight in weights)
