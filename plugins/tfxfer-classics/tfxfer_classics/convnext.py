"""ConvNeXt-Tiny: a residual network with the habits of a transformer.

Source:
    Liu et al. 2022, https://arxiv.org/abs/2201.03545. Weights: Keras Applications, which ported the
    authors' model. Its file has a last layer normalisation for the map, and so have we. We differ
    in the layer scale, a factor for each channel: it goes into the kernel before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages

__all__ = ["ConvNeXtTiny"]

_BLOCKS = [
    f"convnext_tiny_stage_{group}_block_{i}_identity"
    for group, count in enumerate((3, 3, 9, 3))
    for i in range(count)
]


class ConvNeXtTiny(ApplicationBackbone):
    """ConvNeXt-Tiny: 27.8 million parameters, 768 features."""

    name = "convnext_tiny"
    family = "convnext"
    application = "ConvNeXtTiny"
    options: ClassVar[Mapping[str, Any]] = {"include_preprocessing": False}
    input_mode = "torch"
    taken_out = ApplicationBackbone.taken_out | {"LayerScale"}
    quantization = ("gelu", "layer-normalization")
    weights = imagenet_weights(
        "convnext/convnext_tiny_notop.h5",
        licence="MIT",
        sha256="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        origin="ImageNet-1k, by the authors of the paper",
    )
    stages = number_stages(
        (f"{block}_add" for block in _BLOCKS),
        stem="convnext_tiny_stem_layernorm",
        top=f"{_BLOCKS[-1]}_norm",
    )

    def adapt(self, source: Any) -> None:
        """Multiplies the kernel and bias before each layer scale by its factors."""
        for block in _BLOCKS:
            prefix = block.removesuffix("identity")
            scale = source.get_layer(f"{prefix}layer_scale").get_weights()[0]
            layer = source.get_layer(f"{prefix}pointwise_conv_2")
            layer.set_weights([values * scale for values in layer.get_weights()])
