"""MobileNetV3: hard-swish and squeeze-excite on the blocks of MobileNetV2.

Source:
    Howard et al. 2019, https://arxiv.org/abs/1905.02244. Weights: Keras Applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages
from tfxfer.backbone import Stage, Weights

__all__ = ["MobileNetV3Large", "MobileNetV3Small"]


def _weights(size: str, md5: str) -> dict[str, Weights]:
    file = f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5"
    return imagenet_weights(f"mobilenet_v3/{file}", licence="Apache-2.0", md5=md5)


def _stages(blocks: int, residual: frozenset[int]) -> tuple[Stage, ...]:
    ends = (
        f"expanded_conv_{i}_{'add' if i in residual else 'project_bn'}" for i in range(1, blocks)
    )
    stem = "expanded_conv_add" if 0 in residual else "expanded_conv_project_bn"
    return number_stages(ends, stem=stem, top="conv_1_bn_act")


class _MobileNetV3(ApplicationBackbone):
    """What the two sizes share."""

    family = "mobilenet_v3"
    input_mode = "tf"
    options: ClassVar[Mapping[str, Any]] = {
        "alpha": 1.0,
        "minimalistic": False,
        "include_preprocessing": False,
    }
    quantization = ("hard-swish", "squeeze-excite")


class MobileNetV3Small(_MobileNetV3):
    """MobileNetV3-Small: 0.9 million parameters, 576 features."""

    name = "mobilenet_v3_small"
    application = "MobileNetV3Small"
    weights = _weights("small", "d3e8ec802a04aa4fc771ee12a9a9b836")
    stages = _stages(11, frozenset({2, 4, 5, 7, 9, 10}))


class MobileNetV3Large(_MobileNetV3):
    """MobileNetV3-Large: 3.0 million parameters, 960 features."""

    name = "mobilenet_v3_large"
    application = "MobileNetV3Large"
    weights = _weights("large", "07fb09a5933dd0c8eaafa16978110389")
    stages = _stages(15, frozenset({0, 2, 4, 5, 7, 8, 9, 11, 13, 14}))
