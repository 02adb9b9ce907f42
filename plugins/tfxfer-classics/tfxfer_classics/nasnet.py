"""NASNet-A (mobile): cells that a search found, each reading the two before it.

Source:
    Zoph et al. 2017, https://arxiv.org/abs/1707.07012. Weights: Keras Applications.
"""

from __future__ import annotations

from tfxfer.application import ApplicationBackbone, imagenet_weights
from tfxfer.backbone import Stage

__all__ = ["NASNetMobile"]


class NASNetMobile(ApplicationBackbone):
    """NASNet-A (mobile): 4.3 million parameters, 1056 features.

    Two tensors cross every border between cells, its own cell's and that of the cell before. Only
    before the first cell and behind the last does a single one, so that all cells freeze and train
    together.
    """

    name = "nasnet_mobile"
    family = "nasnet"
    application = "NASNetMobile"
    input_mode = "tf"
    weights = imagenet_weights(
        "nasnet/NASNet-mobile-no-top.h5",
        licence="Apache-2.0",
        md5="1ed92395b5b598bdda52abe5c0dbfd63",
    )
    stages = (
        Stage("stem", "stem_bn1"),
        Stage("cells", "normal_concat_12"),
        Stage("top", "normal_concat_12_act"),
    )
