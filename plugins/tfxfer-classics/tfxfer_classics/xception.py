"""Xception: depthwise separable convolutions in residual blocks.

Source:
    Chollet 2016, https://arxiv.org/abs/1610.02357. Weights: Keras Applications.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages

__all__ = ["Xception"]


def _block_ends() -> list[str]:
    """Returns the additions of Keras's blocks 2 to 13, named after what they add."""
    pooling = (2, 3, 4, 13)
    return [f"block{i}_{'pool' if i in pooling else 'sepconv3_bn'}_add" for i in range(2, 14)]


class Xception(ApplicationBackbone):
    """Xception: 20.9 million parameters, 2048 features, 299 px."""

    name = "xception"
    family = "xception"
    application = "Xception"
    input_mode = "tf"
    default_image_size = 299
    min_image_size = 71
    weights = imagenet_weights(
        "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="MIT",
        md5="b0042744bf5b25fce3cb969f33bebb97",
    )
    stages = number_stages(_block_ends(), stem="block1_conv2_act", top="block14_sepconv2_act")
