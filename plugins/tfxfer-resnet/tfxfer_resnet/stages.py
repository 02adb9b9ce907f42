"""What both ResNets share: where blocks end, and where Keras Applications keeps the files."""

from __future__ import annotations

from tfxfer.backbone import Stage

__all__ = ["stages_of_50_layers", "weights_url"]


def stages_of_50_layers() -> tuple[Stage, ...]:
    """Returns the stem and the sixteen bottleneck blocks, which both versions have.

    Keras calls the last tensor of a block `_out`: the ReLU after the addition in the first
    version, the addition itself in the second, where the next block's shortcut starts there too.
    """
    depths = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
    ends = [f"{group}_block{i}_out" for group, n in depths.items() for i in range(1, n + 1)]
    return (
        Stage("stem", "pool1_pool"),
        *(Stage(f"block_{i}", end) for i, end in enumerate(ends, start=1)),
    )


def weights_url(name: str) -> str:
    """Returns where Keras Applications keeps the ImageNet weights without top."""
    return (
        "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
        f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    )
