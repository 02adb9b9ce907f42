"""Backbone and head as one flat Keras model that takes pixels 0..255."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.backbone import BACKBONE_END, Backbone, Stage
from tfxfer.errors import ContractError, ModelError
from tfxfer.head import Head
from tfxfer.preprocessing import Preprocessing
from tfxfer.surgery import find_inputs
from tfxfer.weights import DEFAULT_WEIGHTS, resolve_weights

if TYPE_CHECKING:
    import numpy as np

    from tfxfer.registry.lookup import Registry

from tfxfer.stages import ModelInfo, attach_info

__all__ = ["build_model"]

_RESCALE = "rescale_pixels"
_POOL = "pool"


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

    from tfxfer.registry.lookup import get_backbone, get_head

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
