"""What both ResNets share: where their blocks end."""

from __future__ import annotations

__all__ = ["BLOCK_ENDS", "STEM_END"]

STEM_END = "pool1_pool"
_DEPTHS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
# Keras calls the last tensor of a block `_out`: the ReLU after the addition in the first version,
# the addition itself in the second, where the next block's shortcut starts there too.
BLOCK_ENDS = tuple(f"{group}_block{i}_out" for group, n in _DEPTHS.items() for i in range(1, n + 1))
