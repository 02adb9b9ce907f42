"""MobileNetV2: inverted residuals with ReLU6, made for integer arithmetic.

Source:
    Sandler et al. 2018, https://arxiv.org/abs/1801.04381. Weights: Keras Applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages
from tfxfer.backbone import Weights

__all__ = ["MobileNetV2", "MobileNetV2x035", "MobileNetV2x050", "MobileNetV2x075"]

# Blocks that neither shrink nor widen the map have an addition; it does not depend on alpha
# between 0.35 and 1.0.
_RESIDUAL = frozenset({2, 4, 5, 7, 8, 9, 11, 12, 14, 15})


def _weights(alpha: float) -> dict[str, Weights]:
    # Keras Applications declares no hash for these files.
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5"
    return imagenet_weights(f"mobilenet_v2/{file}", licence="Apache-2.0")


class MobileNetV2(ApplicationBackbone):
    """MobileNetV2 at full width: 2.3 million parameters, 1280 features."""

    name = "mobilenet_v2"
    family = "mobilenet_v2"
    application = "MobileNetV2"
    input_mode = "tf"
    options: ClassVar[Mapping[str, Any]] = {"alpha": 1.0}
    weights = _weights(1.0)
    stages = number_stages(
        (f"block_{i}_{'add' if i in _RESIDUAL else 'project_BN'}" for i in range(1, 17)),
        # Block 0 belongs to the stem: it ends in 16 channels where Conv1_relu has 32.
        stem="expanded_conv_project_BN",
        top="out_relu",
    )


class MobileNetV2x075(MobileNetV2):
    """MobileNetV2 at width 0.75: 1.4 million parameters, 1280 features."""

    name = "mobilenet_v2_075"
    options: ClassVar[Mapping[str, Any]] = {"alpha": 0.75}
    weights = _weights(0.75)


class MobileNetV2x050(MobileNetV2):
    """MobileNetV2 at width 0.5: 0.7 million parameters, 1280 features."""

    name = "mobilenet_v2_050"
    options: ClassVar[Mapping[str, Any]] = {"alpha": 0.5}
    weights = _weights(0.5)


class MobileNetV2x035(MobileNetV2):
    """MobileNetV2 at width 0.35: 0.4 million parameters, 1280 features."""

    name = "mobilenet_v2_035"
    options: ClassVar[Mapping[str, Any]] = {"alpha": 0.35}
    weights = _weights(0.35)
