"""DenseNet121: every layer of a block reads what all layers before it have made.

Source:
    Huang et al. 2017, https://arxiv.org/abs/1608.06993. Weights: Keras Applications.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights
from tfxfer.backbone import Stage

__all__ = ["DenseNet121"]

_LAYERS = {2: 6, 3: 12, 4: 24, 5: 16}  # dense layers in each block, which Keras counts from 2


def _stages() -> tuple[Stage, ...]:
    """Returns a cut after every dense layer: its concatenation holds all that is known so far."""
    stages = [Stage("stem", "pool1")]
    for block, layers in _LAYERS.items():
        stages += [
            Stage(f"block_{block - 1}_{n}", f"conv{block}_block{n}_concat")
            for n in range(1, layers + 1)
        ]
        if block < max(_LAYERS):
            stages.append(Stage(f"transition_{block - 1}", f"pool{block}_pool"))
    return (*stages, Stage("top", "relu"))


class DenseNet121(ApplicationBackbone):
    """DenseNet121: 7.0 million parameters, 1024 features."""

    name = "densenet121"
    family = "densenet"
    application = "DenseNet121"
    input_mode = "torch"
    weights = imagenet_weights(
        "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        licence="BSD-3-Clause",
        md5="30ee3e1110167f948a6b9946edeeb738",
        origin="ImageNet-1k, by the authors of the paper",
    )
    stages = _stages()
