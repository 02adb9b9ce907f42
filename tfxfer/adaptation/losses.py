"""How far apart the features of two looks are, as a number that a network can lower.

All of it is written in `keras.ops`, and computes alike under every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

__all__ = [
    "KERNEL_WIDTHS",
    "coral_distance",
    "find_bandwidth",
    "mmd",
    "ramp",
    "reverse_gradient",
]

KERNEL_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels of `mmd`, times its bandwidth.

Long et al. 2015, section 4.1, have many between 2⁻⁸ and 2⁸ times the median; five are enough for
two batches.
"""


def coral_distance(source: Any, target: Any) -> Any:
    """Returns ‖Cₛ - Cₜ‖²_F / (4 d²), of the covariances of d features in two looks.

    Args:
        source: features of one look; a single row has no covariance, 0.
        target: features of the other.

    Shapes: (samples, features), each, in any number of samples; returns a number.

    Source:
        Sun and Saenko 2016, Deep CORAL, https://arxiv.org/abs/1607.01719, eq. 1 to 3.
    """
    difference = _find_covariance(source) - _find_covariance(target)
    return keras.ops.sum(keras.ops.square(difference)) / (4 * source.shape[-1] ** 2)


def mmd(
    source: Any, target: Any, *, bandwidth: Any = None, widths: Sequence[float] = KERNEL_WIDTHS
) -> Any:
    """Returns the squared maximum mean discrepancy of two looks, unbiased, which may be negative.

    The kernel is the mean of exp(-‖x - y‖² / (w · bandwidth)) over the widths w. A sample is not
    compared with itself.

    Args:
        source: features of one look; a single row is compared with those of the other alone.
        target: features of the other.
        bandwidth: a squared distance; None is `find_bandwidth` of these samples.
        widths: what it is multiplied by.

    Shapes: (samples, features), each, in any number of samples; returns a number.

    Source:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, eq. 3; several kernels:
        Long et al. 2015, https://arxiv.org/abs/1502.02791, who learn their weights, where here all
        weigh the same.
    """
    ops = keras.ops
    if bandwidth is None:
        bandwidth = find_bandwidth(source, target)

    def compare(one: Any, other: Any) -> Any:
        distances = _square_distances(one, other)
        return sum(ops.exp(-distances / (width * bandwidth)) for width in widths) / len(widths)

    def compare_within(values: Any) -> Any:
        count = ops.cast(ops.shape(values)[0], values.dtype)
        # On the diagonal a sample meets itself: exp(0).
        return (ops.sum(compare(values, values)) - count) / ops.maximum(count * (count - 1), 1.0)

    between = ops.mean(compare(source, target))
    return compare_within(source) + compare_within(target) - 2 * between


def find_bandwidth(source: Any, target: Any) -> Any:
    """Returns the median squared distance between two samples of both looks; no gradient follows.

    Shapes: (samples, features), each; returns a number above 0.

    Source:
        Gretton et al. 2012, section 8: the median of all distances.
    """
    ops = keras.ops
    both = ops.stop_gradient(ops.concatenate([source, target]))
    found = ops.sort(ops.reshape(_square_distances(both, both), (-1,)))
    # Of n² entries the n on the diagonal are the smallest; the median of the others follows.
    count = ops.shape(both)[0]
    middle = ops.take(found, count + (ops.shape(found)[0] - count) // 2)
    return ops.stop_gradient(ops.maximum(middle, keras.config.epsilon()))


def reverse_gradient(values: Any, strength: Any) -> Any:
    """Returns values as they are; their gradient comes back times -strength.

    Source:
        Ganin et al. 2016, https://arxiv.org/abs/1505.07818, section 4.2.
    """
    return keras.ops.stop_gradient(values * (1 + strength)) - values * strength


def ramp(progress: Any) -> Any:
    """Returns 2 / (1 + exp(-10 p)) - 1: what a penalty is multiplied by as a training goes on.

    Args:
        progress: share of the training that is over.

    Source:
        Ganin et al. 2016, section 5.2.2, with a slope of 10.
    """
    return 2 / (1 + keras.ops.exp(-10 * progress)) - 1


def _find_covariance(features: Any) -> Any:
    ops = keras.ops
    centred = features - ops.mean(features, axis=0, keepdims=True)
    count = ops.cast(ops.shape(features)[0], features.dtype)
    return ops.matmul(ops.transpose(centred), centred) / ops.maximum(count - 1, 1.0)


def _square_distances(one: Any, other: Any) -> Any:
    ops = keras.ops
    lengths = [ops.sum(ops.square(x), axis=1) for x in (one, other)]
    inner = ops.matmul(one, ops.transpose(other))
    # Rounding may leave less than nothing.
    return ops.maximum(lengths[0][:, None] + lengths[1][None, :] - 2 * inner, 0.0)
