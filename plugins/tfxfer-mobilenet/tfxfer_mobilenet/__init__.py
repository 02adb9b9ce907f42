"""MobileNetV2 and MobileNetV3 backbones for tfxfer; importing this imports neither Keras nor TF."""

from __future__ import annotations

from tfxfer_mobilenet.v2 import MobileNetV2, MobileNetV2x035, MobileNetV2x050, MobileNetV2x075
from tfxfer_mobilenet.v3 import MobileNetV3Large, MobileNetV3Small

__all__ = [
    "MobileNetV2",
    "MobileNetV2x035",
    "MobileNetV2x050",
    "MobileNetV2x075",
    "MobileNetV3Large",
    "MobileNetV3Small",
]
