"""DenseNet169 as a backbone for tfxfer.

Source:
    Huang et al. 2017, https://arxiv.org/abs/1608.06993. Weights: Keras Applications.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tfxfer import ApplicationBackbone, Stage, Weights

__all__ = ["DenseNet169"]

_LAYERS = {2: 6, 3: 12, 4: 32, 5: 32}  # dense layers in each block


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


class DenseNet169(ApplicationBackbone):
    """DenseNet169: 12.6 million parameters, 1664 features."""

    name = "densenet169"
    family = "densenet"
    application = "DenseNet169"
    input_mode = "torch"  # as Keras's preprocess_input calls it
    weights: ClassVar[Mapping[str, Weights]] = {
        "imagenet": Weights(
            licence="BSD-3-Clause",
            url="https://storage.googleapis.com/tensorflow/keras-applications/densenet/"
            "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
            md5="b8c4d4c20dd625c148057b9ff1c1176b",
            origin="ImageNet-1k, by the authors of the paper",
        )
    }
    stages = _stages()
