"""ResNet50 and ResNet50V2 backbones for tfxfer; importing this imports neither Keras nor TF."""

from __future__ import annotations

from tfxfer_resnet.v1 import ResNet50
from tfxfer_resnet.v2 import ResNet50V2

__all__ = ["ResNet50", "ResNet50V2"]
