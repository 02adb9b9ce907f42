"""The outputs of a model from elsewhere, made into what a head decodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.head import Head
from tfxfer.keras_private import find_source
from tfxfer.outputs import OutputChange, Outputs, OutputStep

__all__ = ["adapt_outputs", "apply_steps", "find_activation", "paint_probe"]

_PROBES = 6
_PASSES_ON = frozenset({"ActivityRegularization", "Dropout", "Identity"})


def adapt_outputs(outputs: Outputs, labels: Sequence[str] | None, head: Head) -> OutputChange:
    """Returns what must follow a model, for its outputs to be one answer of a head.

    Args:
        outputs: of the model.
        labels: names of them, in order.
        head: what they mean.

    Raises:
        ModelError: labels that do not match the outputs, or outputs that are no answers.
    """
    change = OutputChange() if labels is None else head.adapt_outputs(outputs, labels)
    count = outputs.count + change.steps.count("complement")
    if labels is None or len(labels) != count:
        raise ModelError(
            f"model {outputs.source!r}: expected {outputs.count} labels, one a line, in the "
            "outputs' order: --labels labels.txt. "
            f"Received: {'none' if labels is None else len(labels)}."
        )
    return change


def apply_steps(scores: np.ndarray, steps: Sequence[OutputStep]) -> np.ndarray:
    """Returns scores after some steps.

    Shapes: scores (samples, outputs), the same after `softmax` and `sigmoid`; after `complement`
        (samples, 2).
    """
    for step in steps:
        if step == "softmax":
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            scores = powers / powers.sum(axis=-1, keepdims=True)
        elif step == "sigmoid":
            # Of a large negative number exp(-x) is more than a float holds; tanh never is.
            scores = 0.5 * (1 + np.tanh(0.5 * scores))
        else:
            scores = np.concatenate([1 - scores, scores], axis=-1)
    return scores


def find_activation(model: Any) -> str | None:
    """Returns what the only output of a model went through.

    Args:
        model: of Keras 3 or `tf_keras`.

    Returns:
        The name of a function, `linear` for what a dense layer adds up, or None where the end is
        another layer.
    """
    outputs = list(model.outputs)
    while len(outputs) == 1:
        layer, node = find_source(outputs[0])
        kind = type(layer).__name__
        name = getattr(getattr(layer, "activation", None), "__name__", None)
        if hasattr(layer, "layers") and hasattr(layer, "outputs"):
            outputs = list(layer.outputs or [])
        elif kind in _PASSES_ON or (kind == "Activation" and name == "linear"):
            found = node.input_tensors
            outputs = list(found) if isinstance(found, (list, tuple)) else [found]
        elif kind == "Softmax":
            return "softmax" if layer.axis in (-1, len(outputs[0].shape) - 1) else None
        else:
            return name if kind in ("Activation", "Dense") else None
    return None


def paint_probe(size: int, *, channels: int = 3) -> np.ndarray:
    """Returns a few images that are as unlike each other as photos are.

    Shapes: uint8 (images, size, size, channels).
    """
    rng = np.random.default_rng(0)
    slope = np.linspace(-1, 1, size)[None, :, None, None]
    base = rng.uniform(30, 225, (_PROBES, 1, 1, channels))
    painted = base + slope * rng.uniform(-90, 90, (_PROBES, 1, 1, channels))
    painted = painted + rng.normal(0, 30, (_PROBES, size, size, 1))
    shape = (size, size, channels)
    plain = np.stack([np.zeros(shape), np.full(shape, 255.0)])
    return np.concatenate([np.clip(painted, 0, 255), plain]).round().astype(np.uint8)
