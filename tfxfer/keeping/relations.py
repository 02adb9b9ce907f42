"""How far samples lie from each other, as an earlier model saw it, on whatever is shown.

Relational knowledge distillation: beside the loss of the head, the distances between the pooled
features of all pairs of a batch, each over their mean, are drawn to those between the earlier
model's. Features may turn, shift and grow; what was near stays near.

Source:
    Park et al. 2019, Relational Knowledge Distillation, https://arxiv.org/abs/1904.05068, eq. 5 to
    7, and section 4 for the strength of 25.
"""

from __future__ import annotations

from typing import Any

import keras

from tfxfer.keeping.watching import ask_earlier, watch_network
from tfxfer.surgery import find_output

__all__ = ["measure_relations", "watch_relations"]

_LEAST = 1e-12  # of a squared distance: a root has no slope at 0


def measure_relations(earlier: Any, features: Any) -> Any:
    """Returns the mean Huber loss of all pairs' distances, each over the mean of its model's.

    Shapes: (samples, features) each, of which there may be another number; returns a number, 0 for
        a single sample.
    """
    ops = keras.ops
    count = ops.shape(features)[0]
    pairs = 1.0 - ops.eye(count, dtype="float32")
    number = ops.maximum(ops.sum(pairs), 1.0)
    old, new = (_measure_distances(x, pairs, number) for x in (earlier, features))
    gap = ops.abs(old - new)
    huber = ops.where(gap <= 1.0, 0.5 * ops.square(gap), gap - 0.5)
    return ops.sum(huber * pairs) / number


def _measure_distances(features: Any, pairs: Any, number: Any) -> Any:
    ops = keras.ops
    features = ops.cast(features, "float32")
    lengths = ops.sum(ops.square(features), axis=1)
    products = ops.matmul(features, ops.transpose(features))
    squares = lengths[:, None] + lengths[None, :] - 2.0 * products
    distances = ops.sqrt(ops.maximum(squares, _LEAST)) * pairs
    return distances / ops.maximum(ops.sum(distances) / number, _LEAST**0.5)


def watch_relations(network: Any, earlier: Any, pooled: str, *, strength: float) -> Any:
    """Returns a network for one training, whose loss also keeps an earlier one's distances.

    Args:
        network: that trains, whose features change; it shares its layers with what is returned.
        earlier: a network of the same inputs and layers, whose weights stay as they are.
        pooled: the layer of both that puts out the pooled features.
        strength: what the penalty is multiplied by.
    """
    known = keras.Model(earlier.inputs, find_output(earlier, pooled))

    def penalize(features: Any, given: list[Any]) -> Any:
        return strength * measure_relations(ask_earlier(known, given), features)

    return watch_network(network, penalize, watched=find_output(network, pooled))
