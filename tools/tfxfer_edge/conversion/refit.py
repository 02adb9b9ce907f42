"""A last layer that answers as before, from features that quantization has moved: no training.

Integers move what a network computes, and a head that was trained on exact features pays for it.
The layer is fitted anew to the features of the integer network, so that its logits come as near as
they can to those of the float network on the same samples. Labels are not needed, and what the
float network had learnt of them, its temperature too, stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["PENALTIES", "Layer", "Refit", "fit_layers", "measure_divergence", "refit"]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""What holds a layer to the one it was, in units of the features' mean variance."""

_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Layer:
    """A dense layer.

    Shapes: kernel (features, outputs), bias (outputs,).
    """

    kernel: np.ndarray
    bias: np.ndarray

    def answer(self, features: np.ndarray) -> np.ndarray:
        """Returns logits (samples, outputs)."""
        return features @ self.kernel + self.bias


@dataclass(frozen=True, eq=False)
class Refit:
    """What fitting came to.

    Args:
        layer: that is nearest to the float network on validation samples.
        penalty: by which it was found; None where the layer as it was is nearest.
        before: how far answers were from the float network's, in bits a sample.
        after: how far they are.
    """

    layer: Layer
    penalty: float | None
    before: float
    after: float


def refit(
    layer: Layer,
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    *,
    end: str,
) -> Refit:
    """Fits a layer to what the integer network computes, and chooses on validation samples.

    Args:
        layer: as it was.
        train: features of the integer network, and logits of the float network.
        val: the same of other samples, which choose the penalty, or the layer as it was.
        end: what the network makes of logits, `SOFTMAX` or `LOGISTIC`.

    Shapes: features (samples, features), logits (samples, outputs).
    """
    features, wanted = val
    before = measure_divergence(wanted, layer.answer(features), end=end)
    best = Refit(layer, None, before, before)
    for penalty, other in fit_layers(layer, *train):
        after = measure_divergence(wanted, other.answer(features), end=end)
        if after < best.after:
            best = Refit(other, penalty, before, after)
    return best


def fit_layers(
    layer: Layer,
    features: np.ndarray,
    wanted: np.ndarray,
    penalties: Sequence[float] = PENALTIES,
) -> Iterator[tuple[float, Layer]]:
    """Yields each penalty and its layer: ridge regression of what the layer misses.

    With centred features X and misses R, the layer changes by (XᵀX + λnv I)⁻¹ XᵀR, where v is the
    mean variance of a feature; the bias takes up the means.

    Args:
        layer: from which it begins.
        features: of the integer network.
        wanted: logits of the float network.
        penalties: values of λ.

    Shapes: features (samples, features), wanted (samples, outputs).
    """
    mean = features.mean(axis=0)
    centred = (features - mean).astype(np.float64)
    missed = wanted - layer.answer(features)
    shift = missed.mean(axis=0)
    # One decomposition serves all penalties, whichever there are more of, samples or features.
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    turned = left.T @ (missed - shift)
    scale = len(features) * max(float(centred.var(axis=0).mean()), _TINY)
    for penalty in penalties:
        share = values / (values**2 + penalty * scale)
        change = right.T @ (share[:, None] * turned)
        yield penalty, Layer(layer.kernel + change, layer.bias + shift - mean @ change)


def measure_divergence(wanted: np.ndarray, found: np.ndarray, *, end: str) -> float:
    """Returns how far answers are from others: the Kullback-Leibler divergence in bits a sample.

    Of sigmoids it is summed over the outputs.

    Args:
        wanted: logits that are taken for right.
        found: others.
        end: `SOFTMAX` or `LOGISTIC`.

    Shapes: both (samples, outputs).

    Example:
        >>> one, two = np.array([[0.0, 0.0]]), np.array([[0.0, np.log(3.0)]])
        >>> round(measure_divergence(one, two, end="SOFTMAX"), 4)  # of 1/2, 1/2 from 1/4, 3/4
        0.2075
    """
    if end == "SOFTMAX":
        logs = [x - np.logaddexp.reduce(x, axis=1, keepdims=True) for x in (wanted, found)]
        nats = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=1)
    else:
        sides = [(-np.logaddexp(0, -x), -np.logaddexp(0, x)) for x in (wanted, found)]
        (yes, no), (yes_found, no_found) = sides
        nats = (np.exp(yes) * (yes - yes_found) + np.exp(no) * (no - no_found)).sum(axis=1)
    return float(nats.mean() / np.log(2))
