"""Backbone and head as one flat Keras model that takes what a modality reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tfxfer.backbone import BACKBONE_END, Backbone, Stage, check_size
from tfxfer.backbone_weights import holds_backbone_weights, read_backbone_weights
from tfxfer.errors import ContractError, UsageError
from tfxfer.head import Head
from tfxfer.registry.lookup import default_registry, get_backbone, get_head
from tfxfer.stages import (
    ModelInfo,
    attach_info,
    count_parameters,
    freeze_to,
    get_info,
    layers_up_to,
    map_layers_to_stages,
    set_trainable,
    stage_tensor,
)
from tfxfer.surgery import find_inputs
from tfxfer.system.arguments import check_kind, check_number, check_texts
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.weights import DEFAULT_WEIGHTS, ResolvedWeights, resolve_weights

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.registry.lookup import Registry

# Beside `build_model` what `tfxfer.stages` has: this was its address in tfxfer 0.1.
__all__ = [
    "ModelInfo",
    "attach_info",
    "build_model",
    "count_parameters",
    "freeze_to",
    "get_info",
    "layers_up_to",
    "map_layers_to_stages",
    "set_trainable",
    "stage_tensor",
]

_POOL = "pool"


def build_model(
    backbone: str | Backbone,
    *,
    labels: Sequence[str],
    head: str | Head | None = None,
    size: int | None = None,
    image_size: int | None = None,
    weights: str | Path | ResolvedWeights | None = DEFAULT_WEIGHTS,
    targets: np.ndarray | None = None,
    seed: int = 0,
    registry: Registry | None = None,
) -> keras.Model:
    """Returns one flat `keras.Model`: inputs, preprocessing, backbone, pooling, head.

    Sets Keras's global seed, as `keras.utils.set_random_seed` does, so that the head starts from
    the same weights each time.

    Args:
        backbone: an installed plugin's name, or an instance.
        labels: names of the outputs, in order.
        head: an installed plugin's name, or an instance; None is the default head.
        size: of the input, in the modality's unit; None takes the backbone's own.
        image_size: the same: the side of the square, in pixels.
        weights: `default`, a named source, a path, or None for random weights; or what
            `resolve_weights` found.
        targets: of the training split, for heads that measure them (`Head.prepare`).
        seed: of the head's initial weights and dropout.
        registry: where names are looked up; None is what is installed.

    Shapes: the model maps what the modality reads, of images float pixels 0..255
        (batch, size, size, 3), to (batch, outputs).

    Raises:
        ModelError: the input is smaller than the backbone takes, or the graph is not flat.
        WeightsError: see `resolve_weights`.
        PluginError: an unknown or broken plugin.
        SetupError: another project's settings make Keras another one.
        UsageError: an argument that cannot be meant.
    """
    check_keras_settings()
    labels = check_texts(
        labels,
        where="build_model",
        name="labels",
        expected="the outputs' names, such as ['a', 'b']",
    )
    check_number(seed, where="build_model", name="seed", least=0)
    for side in (size, image_size):
        if side is not None:
            check_number(side, where="build_model", name="size", least=1)
    if isinstance(backbone, str):
        backbone = get_backbone(backbone, registry=registry)
    if head is None or isinstance(head, str):
        head = get_head(head, registry=registry)
    check_kind(
        backbone,
        Backbone,
        where="build_model",
        name="backbone",
        expected="the name of one, or an instance of a tfxfer.Backbone",
    )
    check_kind(
        head,
        Head,
        where="build_model",
        name="head",
        expected="None, the name of one, or an instance of a tfxfer.Head",
    )
    modality = (registry or default_registry()).load_modality_of(backbone)
    if None not in (size, image_size) and size != image_size:
        raise UsageError(
            "build_model: expected size or image_size, which are the same. "
            f"Received: {size=}, {image_size=}."
        )
    size = image_size if size is None else size
    size = check_size(backbone, size, modality.size_unit)
    modality.check_contract(backbone.preprocessing)
    if not isinstance(weights, ResolvedWeights):
        weights = resolve_weights(backbone, weights)
    if targets is not None:
        head.prepare(targets)
    keras.utils.set_random_seed(seed)
    features = _pool(backbone, backbone.build(modality.build_inputs(size, backbone.preprocessing)))
    # The backbone may have rebuilt the graph from its inputs: they are looked up, not assumed.
    sources = {tensor.name: tensor for tensor in find_inputs(features)}
    names = list(modality.list_inputs(size, backbone.preprocessing))
    if set(sources) != set(names):
        raise ContractError(
            f"backbone {backbone.name!r}: expected build to read the inputs {names}. "
            f"Received: features computed from {sorted(sources)}."
        )
    inputs = [sources[name] for name in names]
    # Keras takes no slashes in a name, and a handle after `prefix:` may be an address.
    name = re.sub(r"[^\w.-]+", "_", f"{backbone.name}_{head.name}")
    outputs = head.build(features, labels)
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=name)
    info = ModelInfo(
        backbone=backbone.name,
        head=head,
        labels=labels,
        modality=modality,
        size=size,
        preprocessing=backbone.preprocessing,
        stages=(*backbone.stages, Stage(BACKBONE_END, _POOL)),
        weights=weights,
        quantization=backbone.quantization,
        fine_tuning=backbone.fine_tuning,
    )
    attach_info(model, info)
    if weights.path is not None:
        if holds_backbone_weights(weights.path):
            layers = [layer for layer in layers_up_to(model, BACKBONE_END) if layer.weights]
            read_backbone_weights(weights.path, backbone.name, layers)
        else:
            backbone.load_weights(model, weights.path)
    return model


def _pool(backbone: Backbone, features: Any) -> Any:
    rank = {"map": 4, "tokens": 3, "vector": 2}[backbone.output]
    shape = getattr(features, "shape", None)
    if shape is None or len(shape) != rank:
        raise ContractError(
            f"backbone {backbone.name!r}: expected build to return a tensor of rank {rank}, "
            f"output={backbone.output!r}. Received: {type(features).__name__} with shape={shape}."
        )
    layers = {
        "map": keras.layers.GlobalAveragePooling2D,
        "tokens": keras.layers.GlobalAveragePooling1D,
        "vector": keras.layers.Identity,
    }
    return layers[backbone.output](name=_POOL)(features)
