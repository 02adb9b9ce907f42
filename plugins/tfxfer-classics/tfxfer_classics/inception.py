"""InceptionV3: parallel branches of several kernel sizes, concatenated at the end of each block.

Source:
    Szegedy et al. 2015, https://arxiv.org/abs/1512.00567. Weights: Keras Applications.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights, number_stages

__all__ = ["InceptionV3"]


class InceptionV3(ApplicationBackbone):
    """InceptionV3: 21.8 million parameters, 2048 features, 299 px."""

    name = "inception_v3"
    family = "inception"
    application = "InceptionV3"
    input_mode = "tf"
    default_image_size = 299
    min_image_size = 75
    weights = imagenet_weights(
        "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="Apache-2.0",
        md5="bcbd6486424b2319ff4ef7d526e38f63",
    )
    # The stem ends at its second pooling.
    stages = number_stages((f"mixed{i}" for i in range(11)), stem="stem_pool_2")
