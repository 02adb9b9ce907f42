"""ResNet50V2: normalisation and ReLU come before each convolution.

Source:
    He et al. 2016, https://arxiv.org/abs/1603.05027. Weights: Keras Applications.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages
from tfxfer_resnet.stages import BLOCK_ENDS, STEM_END

__all__ = ["ResNet50V2"]


class ResNet50V2(ApplicationBackbone):
    """ResNet50V2: 23.6 million parameters, 2048 features."""

    name = "resnet50_v2"
    family = "resnet"
    application = "ResNet50V2"
    input_mode = "tf"
    weights = imagenet_weights(
        "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="Apache-2.0",
        md5="fac2f116257151a9d068a22e544a4917",
    )
    stages = number_stages(BLOCK_ENDS, stem=STEM_END, top="post_relu")
