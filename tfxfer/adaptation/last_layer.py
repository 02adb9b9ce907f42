"""The last dense layer of a Keras model: what it says of pooled features, and other weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfxfer.adaptation.linear_head import LinearHead
from tfxfer.backbone import BACKBONE_END
from tfxfer.errors import ContractError
from tfxfer.frontier.cut import make_suffix
from tfxfer.stages import get_info

__all__ = ["fold_head", "score_features"]

_ROWS = 1024  # features scored at a time
_TOLERANCE = 1e-3  # of a probability; the layer computes in float32, the fit in float64


def score_features(model: Any, features: np.ndarray) -> np.ndarray:
    """Returns what the head of a model makes of pooled features.

    Args:
        model: from `build_model`.
        features: as `embed` returns them.

    Shapes: features (samples, features); returns float32 (samples, outputs).
    """
    head = make_suffix(model, BACKBONE_END)
    # Not `predict`, which would be traced for this alone.
    parts = [
        np.asarray(keras.ops.convert_to_numpy(head(features[start : start + _ROWS])))
        for start in range(0, len(features), _ROWS)
    ]
    return np.concatenate(parts)


def fold_head(model: Any, head: LinearHead, probe: np.ndarray) -> None:
    """Gives the last layer of a model the weights of a linear head.

    Args:
        model: from `build_model`.
        head: that is to be its last layer.
        probe: features on which both must say the same.

    Shapes: probe (samples, features).

    Raises:
        ContractError: the plugin's head names a layer that is something else.
    """
    info = get_info(model)
    name = info.head.linear_end()
    layers = [layer for layer in model.layers if layer.name == name]
    weights = [head.kernel.astype(np.float32), head.bias.astype(np.float32)]
    before = layers[0].get_weights() if layers else []
    if [weight.shape for weight in before] == [weight.shape for weight in weights]:
        layers[0].set_weights(weights)
        if np.abs(score_features(model, probe) - head.score(probe)).max() <= _TOLERANCE:
            return
        layers[0].set_weights(before)
    raise ContractError(
        f"head {info.head.name!r}: expected `linear_end()` to name a dense layer between the "
        f"pooled features and a softmax, with weights {[w.shape for w in weights]}. "
        f"Received: layer={name!r}, weights {[w.shape for w in before]}."
    )
