"""EfficientNet backbones for tfxfer: Lite for int8 phones, B0 to B3 and V2-B0 for accuracy.

Importing this package imports neither Keras nor TensorFlow nor numpy.
"""

from __future__ import annotations

from tfxfer_efficientnet.keras_apps import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetV2B0,
)
from tfxfer_efficientnet.lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    imagenet_top,
)

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "EfficientNetV2B0",
    "imagenet_top",
]
