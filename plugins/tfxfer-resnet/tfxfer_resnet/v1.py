"""ResNet50, the first version: the ReLU comes after the addition.

Source:
    He et al. 2015, https://arxiv.org/abs/1512.03385. Weights: Keras Applications, which ported
    the authors' Caffe model. We differ in taking RGB where that takes BGR.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tfxfer.application import ApplicationBackbone
from tfxfer.backbone import Weights
from tfxfer.preprocessing import Preprocessing
from tfxfer_resnet.stages import stages_of_50_layers, weights_url

__all__ = ["ResNet50"]


class ResNet50(ApplicationBackbone):
    """ResNet50: 23.6 million parameters, 2048 features.

    Weights files are expected as Keras Applications has them, for BGR; the first kernel is turned
    to RGB while they are loaded.
    """

    name = "resnet50"
    family = "resnet"
    application = "ResNet50"
    # The Caffe means in red, green, blue; no division.
    preprocessing = Preprocessing.from_mean_std(mean=(123.68, 116.779, 103.939), std=1.0)
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="MIT",
            url=weights_url("resnet50"),
            md5="4d473c1dd8becc155b73f8504c6f6626",
            origin="ImageNet-1k, by the authors of the paper",
        )
    }
    # The last block is the end: there is no top.
    stages = stages_of_50_layers()

    def adapt(self, source: Any) -> None:
        """Turns the first kernel from BGR to RGB, which is exact."""
        layer = source.get_layer("conv1_conv")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel[:, :, ::-1], bias])
