"""VGG16 and VGG19: nothing but small kernels, one behind the other.

Source:
    Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556. Weights: Keras Applications, which
    ported the authors' Caffe models. We differ in taking RGB where those take BGR.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages

__all__ = ["VGG16", "VGG19"]

_ORIGIN = "ImageNet-1k, by the authors of the paper"


class VGG16(ApplicationBackbone):
    """VGG16: 14.7 million parameters, 512 features."""

    name = "vgg16"
    family = "vgg"
    application = "VGG16"
    input_mode = "caffe"
    weights = imagenet_weights(
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="CC-BY-4.0",
        md5="6d6bbae143d832006294945121d1f1fc",
        origin=_ORIGIN,
    )
    stages = number_stages(f"block{i}_pool" for i in range(1, 6))


class VGG19(VGG16):
    """VGG19: 20.0 million parameters, 512 features; one more layer in each of the last blocks."""

    name = "vgg19"
    application = "VGG19"
    weights = imagenet_weights(
        "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="CC-BY-4.0",
        md5="253f8cb515780f3b799900260a226db6",
        origin=_ORIGIN,
    )
