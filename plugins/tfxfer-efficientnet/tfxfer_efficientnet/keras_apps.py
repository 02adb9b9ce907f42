"""EfficientNet-B0 to B3 and EfficientNetV2-B0 from `keras.applications`, flat and deterministic.

B rescales by 1/255 and normalizes inside. Its published file stores the standard deviations where
the layer expects variances, so it divides by sqrt(std); Keras adds a further 1/sqrt(std) for
weights="imagenet" to mend that (tensorflow issue 49930). Together: (x / 255 - mean) / std, which is
Keras's mode `torch`, and what V2 does with include_preprocessing=True.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages
from tfxfer.backbone import Stage, Weights
from tfxfer.errors import WeightsError

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetV2B0",
]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def _stages(repeats: tuple[int, ...], *, first_end: str) -> tuple[Stage, ...]:
    """Returns the cuts at block ends; only a group's first block has no addition."""
    ends = []
    for group, count in enumerate(repeats, start=1):
        for repeat in range(count):
            block = f"block{group}{chr(ord('a') + repeat)}"
            ends.append(f"{block}_add" if repeat else f"{block}_project_bn")
    return number_stages([first_end, *ends[1:]], stem="stem_activation", top="top_activation")


def _stages_b(depth: float) -> tuple[Stage, ...]:
    repeats = tuple(math.ceil(depth * count) for count in (1, 2, 2, 3, 3, 4, 1))
    return _stages(repeats, first_end="block1a_project_bn")


def _weights(file: str, md5: str) -> dict[str, Weights]:
    origin = "ImageNet-1k, published by Keras"
    return imagenet_weights(file, licence="Apache-2.0", md5=md5, origin=origin)


def _weights_b(variant: int, md5: str) -> dict[str, Weights]:
    # Not in the folder of the other networks.
    folder = "https://storage.googleapis.com/keras-applications"
    return _weights(f"{folder}/efficientnetb{variant}_notop.h5", md5)


class _EfficientNetB(ApplicationBackbone):
    """What B0 to B3 share."""

    family = "efficientnet_b"
    input_mode = "torch"
    quantization = ("swish", "squeeze-excite")

    def adapt(self, source: Any) -> None:
        """Refuses weights that were trained behind another input normalisation than ours.

        The published files store `std` as the variance (mended by Keras's extra layer); a file
        written from a plain Normalization(mean, variance) stores `std ** 2`. Both mean the same
        network input. What Keras makes of weights=None, mean 0 and variance 1, does not.
        """
        import keras
        import numpy as np

        (layer,) = (x for x in source.layers if isinstance(x, keras.layers.Normalization))
        mean, variance = (np.ravel(value) for value in layer.get_weights()[:2])
        known = [np.array(_STD), np.array(_STD) ** 2]
        if not np.allclose(mean, _MEAN, atol=1e-4) or not any(
            np.allclose(variance, std, atol=1e-4) for std in known
        ):
            raise WeightsError(
                f"weights of {self.name!r}: expected a network trained on "
                f"(pixel / 255 - {_MEAN}) / {_STD}. Received: Normalization with "
                f"mean={mean.tolist()}, variance={variance.tolist()}. "
                "A file saved from weights=None without adapt() has mean 0 and variance 1: it was "
                "never given ImageNet's statistics."
            )


class EfficientNetB0(_EfficientNetB):
    """EfficientNet-B0: 4.0 M parameters without its top, 224 px."""

    name = "efficientnet_b0"
    application = "EfficientNetB0"
    default_image_size = 224
    stages = _stages_b(1.0)
    weights = _weights_b(0, "50bc09e76180e00e4465e1a485ddc09d")


class EfficientNetB1(_EfficientNetB):
    """EfficientNet-B1: 6.6 M parameters without its top, 240 px."""

    name = "efficientnet_b1"
    application = "EfficientNetB1"
    default_image_size = 240
    stages = _stages_b(1.1)
    weights = _weights_b(1, "74c4e6b3e1f6a1eea24c589628592432")


class EfficientNetB2(_EfficientNetB):
    """EfficientNet-B2: 7.8 M parameters without its top, 260 px."""

    name = "efficientnet_b2"
    application = "EfficientNetB2"
    default_image_size = 260
    stages = _stages_b(1.2)
    weights = _weights_b(2, "111f8e2ac8aa800a7a99e3239f7bfb39")


class EfficientNetB3(_EfficientNetB):
    """EfficientNet-B3: 10.8 M parameters without its top, 300 px."""

    name = "efficientnet_b3"
    application = "EfficientNetB3"
    default_image_size = 300
    stages = _stages_b(1.4)
    weights = _weights_b(3, "af6d107764bb5b1abb91932881670226")


class EfficientNetV2B0(ApplicationBackbone):
    """EfficientNetV2-B0: 5.9 M parameters without its top, 224 px."""

    name = "efficientnetv2_b0"
    family = "efficientnet_v2"
    application = "EfficientNetV2B0"
    options: ClassVar[Mapping[str, Any]] = {"include_preprocessing": False}
    input_mode = "torch"
    default_image_size = 224
    quantization = ("swish", "squeeze-excite")
    stages = _stages((1, 2, 2, 3, 5, 8), first_end="block1a_project_activation")
    weights = _weights(
        "efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"
    )
