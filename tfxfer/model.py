"""Backbone and head as one flat Keras model that takes pixels 0..255."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.backbone import BACKBONE_END, Backbone, Stage
from tfxfer.errors import ContractError, ModelError, ScheduleError
from tfxfer.head import Head
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import find_inputs
from tfxfer.weights import DEFAULT_WEIGHTS, ResolvedWeights, resolve_weights

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.registry import Registry

__all__ = [
    "ModelInfo",
    "attach_info",
    "build_model",
    "count_parameters",
    "freeze_to",
    "fresh_statistics",
    "get_info",
    "layers_up_to",
    "set_trainable",
    "stage_of_layers",
    "stage_tensor",
]

_RESCALE = "rescale_pixels"
_POOL = "pool"
_LEAST_MOMENTUM = 0.9  # what ten batches say; fewer say little


@dataclass(frozen=True)
class ModelInfo:
    """What a plain `keras.Model` does not say of itself.

    Args:
        backbone: the plugin's name.
        head: the task.
        labels: names of the outputs, in order.
        image_size: side of the square input, in pixels.
        preprocessing: what the first layer does to pixels.
        stages: the backbone's cuts in order; the last is always `backbone`, after pooling.
        weights: what the backbone started from.
        quantization: what is known to hurt int8.
    """

    backbone: str
    head: Head
    labels: tuple[str, ...]
    image_size: int
    preprocessing: Preprocessing
    stages: tuple[Stage, ...]
    weights: ResolvedWeights = field(default_factory=lambda: ResolvedWeights("unknown"))
    quantization: tuple[str, ...] = ()


def build_model(
    backbone: str | Backbone,
    *,
    labels: Sequence[str],
    head: str | Head = "classification",
    image_size: int | None = None,
    weights: str | Path | None = DEFAULT_WEIGHTS,
    targets: np.ndarray | None = None,
    seed: int = 0,
    registry: Registry | None = None,
) -> Any:
    """Returns one flat `keras.Model`: pixels, rescale, backbone, pooling, head.

    Sets Keras's global seed, as `keras.utils.set_random_seed` does, so that the head starts from
    the same weights each time.

    Args:
        backbone: an installed plugin's name, or an instance.
        labels: names of the outputs, in order.
        head: an installed plugin's name, or an instance.
        image_size: side of the square input, in pixels; None takes the backbone's own.
        weights: `default`, a named source, a path, or None for random weights.
        targets: of the training split, for heads that measure them (`Head.prepare`).
        seed: of the head's initial weights and dropout.
        registry: where names are looked up; None is what is installed.

    Shapes: the model maps float pixels 0..255 (batch, size, size, 3) to (batch, outputs).

    Raises:
        ModelError: the image is smaller than the backbone takes, or the graph is not flat.
        WeightsError: see `resolve_weights`.
        PluginError: an unknown or broken plugin.
    """
    import keras

    from tfxfer.registry import get_backbone, get_head

    if isinstance(backbone, str):
        backbone = get_backbone(backbone, registry=registry)
    if isinstance(head, str):
        head = get_head(head, registry=registry)
    size = backbone.default_image_size if image_size is None else image_size
    if size < backbone.min_image_size:
        raise ModelError(
            f"backbone {backbone.name!r}: expected an image size of at least "
            f"{backbone.min_image_size} px. Received: image_size={size}."
        )
    found = resolve_weights(backbone, weights)
    if targets is not None:
        head.prepare(targets)
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3), name="pixels")
    features = _pool(backbone, backbone.build(_rescale(pixels, backbone.preprocessing)))
    # The backbone may have rebuilt the graph from its inputs: they are looked up, not assumed.
    (source,) = find_inputs(features)
    # Keras takes no slashes in a name, and a handle after `prefix:` may be an address.
    name = re.sub(r"[^\w.-]+", "_", f"{backbone.name}_{head.name}")
    model = keras.Model(source, head.build(features, labels), name=name)
    info = ModelInfo(
        backbone=backbone.name,
        head=head,
        labels=tuple(labels),
        image_size=size,
        preprocessing=backbone.preprocessing,
        stages=(*backbone.stages, Stage(BACKBONE_END, _POOL)),
        weights=found,
        quantization=backbone.quantization,
    )
    attach_info(model, info)
    if found.path is not None:
        backbone.load_weights(model, found.path)
    return model


def _rescale(pixels: Any, preprocessing: Preprocessing) -> Any:
    import keras

    if preprocessing.is_uniform:
        scale, offset = preprocessing.scale[0], preprocessing.offset[0]
        return keras.layers.Rescaling(scale, offset, name=_RESCALE)(pixels)
    return keras.layers.Rescaling(
        list(preprocessing.scale), list(preprocessing.offset), name=_RESCALE
    )(pixels)


def _pool(backbone: Backbone, features: Any) -> Any:
    import keras

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


def attach_info(model: Any, info: ModelInfo) -> None:
    """Lets a model remember its stages and labels; checks that they are true of it.

    Raises:
        ModelError: a nested model, or a stage whose layer is not there.
    """
    import keras

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


def get_info(model: Any) -> ModelInfo:
    """Returns what `attach_info` stored.

    Raises:
        ModelError: the model was not built by `build_model` nor loaded by `load_model`.
    """
    info = getattr(model, "tfxfer_info", None)
    if not isinstance(info, ModelInfo):
        raise ModelError(
            f"model {getattr(model, 'name', model)!r}: expected one from tfxfer.build_model or "
            "tfxfer.load_model, which know its stages. For another Keras model call "
            "tfxfer.model.attach_info first."
        )
    return info


def stage_tensor(model: Any, stage: str | None) -> Any:
    """Returns the tensor at which `stage` ends; the pixels where `stage` is None.

    Raises:
        ScheduleError: the model has no such stage.
    """
    if stage is None:
        return model.inputs[0]
    info = get_info(model)
    ends = {item.name: item.end for item in info.stages}
    if stage not in ends:
        raise ScheduleError(
            f"model {model.name!r} has no stage {stage!r}: expected one of {', '.join(ends)}. "
            f"Received: stage={stage!r}."
        )
    return model.get_layer(ends[stage]).output


def layers_up_to(model: Any, stage: str | None) -> list[Any]:
    """Returns the layers that the end of `stage` is computed from, in order from the input."""
    import keras

    if stage is None:
        return []
    return list(keras.Model(model.inputs[0], stage_tensor(model, stage)).layers)


def stage_of_layers(model: Any) -> dict[str, str]:
    """Returns the stage of every layer, by layer name; layers after the backbone are `head`."""
    stages = dict.fromkeys((layer.name for layer in model.layers), "head")
    for stage in reversed(get_info(model).stages):
        stages.update(dict.fromkeys((x.name for x in layers_up_to(model, stage.name)), stage.name))
    return stages


def freeze_to(model: Any, stage: str | None, *, batch_norm: bool = False) -> None:
    """Freezes everything up to the end of `stage` and makes everything after it trainable.

    A compiled model is compiled again, with a fresh optimizer of the same configuration: Keras
    collects the trainable weights when it compiles and would go on with the old ones.

    Args:
        model: from `build_model` or `load_model`.
        stage: name of a stage; `backbone` leaves the head alone trainable; None freezes nothing.
        batch_norm: also train the backbone's BatchNormalization after the frontier. By default it
            stays frozen, gamma, beta and statistics: those of a small batch are not ImageNet's,
            and `trainable=False` is the only thing that holds them still under `fit`.

    Raises:
        ScheduleError: the model has no such stage.

    Example:
        tfxfer.freeze_to(model, "backbone")   # phase 1: the head
        tfxfer.freeze_to(model, "block_8")    # phase 2: what follows block_8, and the head
    """
    set_trainable(model, stage, batch_norm=batch_norm)
    if model.compiled:
        model.compile_from_config(model.get_compile_config())


def set_trainable(model: Any, stage: str | None, *, batch_norm: bool = False) -> None:
    """Does what `freeze_to` does for a model that its caller compiles next.

    Raises:
        ScheduleError: the model has no such stage.
    """
    import keras

    frozen = {layer.name for layer in layers_up_to(model, stage)}
    # A head's own normalization starts from nothing and has to learn.
    pretrained = {layer.name for layer in layers_up_to(model, BACKBONE_END)}
    for layer in model.layers:
        is_held = isinstance(layer, keras.layers.BatchNormalization) and layer.name in pretrained
        layer.trainable = layer.name not in frozen and (batch_norm or not is_held)


@contextlib.contextmanager
def fresh_statistics(model: Any, *, steps_per_epoch: int) -> Iterator[None]:
    """Lets trainable BatchNormalization follow within an epoch, for as long as the context lasts.

    Published networks keep 0.99 or 0.999 of their moving statistics at each step, which suits
    hundreds of thousands of steps. After the 1,600 steps of a small set a fifth of what they are
    is still what they were initialised with: MobileNetV3 trained so on 1,260 photos of steel
    fitted 99 % of them and guessed on all others.

    Args:
        model: about to be fitted.
        steps_per_epoch: batches in an epoch; half of one is what the statistics remember then.
    """
    import keras

    momentum = max(_LEAST_MOMENTUM, 1 - 2 / max(1, steps_per_epoch))
    held = [
        (layer, layer.momentum)
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    try:
        for layer, published in held:
            layer.momentum = min(published, momentum)
        yield
    finally:
        for layer, published in held:
            layer.momentum = published


def count_parameters(weights: Sequence[Any]) -> int:
    """Returns how many numbers a list of Keras variables holds."""
    import math

    return sum(math.prod(weight.shape) for weight in weights)
