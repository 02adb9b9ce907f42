"""ResNet50, the first version: the ReLU comes after the addition.

Source:
    He et al. 2015, https://arxiv.org/abs/1512.03385. Weights: Keras Applications, which ported
    the authors' Caffe model. We differ in taking RGB where that takes BGR.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages
from tfxfer_resnet.stages import BLOCK_ENDS, STEM_END

__all__ = ["ResNet50"]


class ResNet50(ApplicationBackbone):
    """ResNet50: 23.6 million parameters, 2048 features.

    Weights files are expected as Keras Applications has them, for BGR; the first kernel is turned
    to RGB while they are loaded.
    """

    name = "resnet50"
    family = "resnet"
    application = "ResNet50"
    input_mode = "caffe"
    weights = imagenet_weights(
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="MIT",
        md5="4d473c1dd8becc155b73f8504c6f6626",
        origin="ImageNet-1k, by the authors of the paper",
    )
    # The last block is the end: there is no top.
    stages = number_stages(BLOCK_ENDS, stem=STEM_END)
