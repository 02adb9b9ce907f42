"""The networks of every textbook as backbones for tfxfer; importing this imports no framework."""

from __future__ import annotations

from tfxfer_classics.convnext import ConvNeXtTiny
from tfxfer_classics.densenet import DenseNet121
from tfxfer_classics.inception import InceptionV3
from tfxfer_classics.nasnet import NASNetMobile
from tfxfer_classics.vgg import VGG16, VGG19
from tfxfer_classics.xception import Xception

__all__ = [
    "VGG16",
    "VGG19",
    "ConvNeXtTiny",
    "DenseNet121",
    "InceptionV3",
    "NASNetMobile",
    "Xception",
]
