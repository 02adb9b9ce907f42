"""The ends of what an input may hold, put before calibration samples where an engine needs them.

The range of the input is its contract's, not the photos': calibrated on dark ones alone, bright
pixels would clip. LiteRT Quantizer is told that range. In its samples a black and a white image,
which are no photos, only widen ranges inside: MobileNetV2 lost 2.3 points with them, 1.8 without.
"""

from __future__ import annotations

import numpy as np

from tfxfer_edge.conversion.graph import FrozenGraph, Prepared
from tfxfer_edge.door import find_door

__all__ = ["add_extremes", "rescales_inside"]


def add_extremes(graph: FrozenGraph, inputs: Prepared) -> Prepared:
    """Returns calibration samples with those that hold the least and the most before them.

    Args:
        graph: what is converted.
        inputs: samples as it takes them.
    """
    extremes = find_door(graph.modality).make_extremes(graph.inputs)
    if extremes is None:
        return inputs
    ends = graph.prepare(extremes)
    return tuple(
        np.concatenate([end.astype(values.dtype), values])
        for end, values in zip(ends, inputs, strict=True)
    )


def rescales_inside(graph: FrozenGraph) -> bool:
    """Returns whether pixels go through more than the input's own scale and zero point stand for.

    What is inside gets its ranges from samples alone. True where nobody knows.
    """
    known, folded = graph.preprocessing, graph.normalization
    return known is None or (known.scale, known.offset) != (folded.scale, folded.offset)
