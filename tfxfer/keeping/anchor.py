"""Penalties on how far weights move from where a training begins: L2-SP and EWC.

Both are ½ · strength · Σᵢ Fᵢ (wᵢ - wᵢ⁰)² over the weights that train. For L2-SP every Fᵢ is 1; for
EWC it is how much the earlier task's likelihood depends on that weight.

Source:
    Li, Grandvalet and Davoine 2018, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks, https://arxiv.org/abs/1802.01483, eq. 3; Kirkpatrick et al. 2017,
    Overcoming catastrophic forgetting in neural networks, https://arxiv.org/abs/1612.00796, eq. 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

__all__ = ["Anchor", "hold_weights", "list_learnt", "read_references"]


class Anchor(keras.regularizers.Regularizer):
    """½ · strength · Σ importance · (w - reference)² of one variable.

    Args:
        reference: where the weights should stay.
        strength: of the penalty.
        importance: of each weight; None is 1 for all of them.

    Shapes: reference and importance as the variable; returns a number.
    """

    def __init__(
        self, reference: np.ndarray, *, strength: float, importance: np.ndarray | None = None
    ) -> None:
        self.reference = np.asarray(reference, np.float32)
        self.strength = float(strength)
        self.importance = None if importance is None else np.asarray(importance, np.float32)

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of the weights' present values."""
        ops = keras.ops
        squares = ops.square(ops.cast(x, "float32") - self.reference)
        if self.importance is not None:
            squares = squares * self.importance
        return 0.5 * self.strength * ops.sum(squares)


def read_references(layers: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """Returns the present values of the trainable kind of weights, by layer name.

    Statistics, which no gradient moves, are not among them.
    """
    return {
        layer.name: [np.array(x) for x in map(_read, list_learnt(layer))]
        for layer in layers
        if list_learnt(layer)
    }


@contextlib.contextmanager
def hold_weights(
    layers: Sequence[Any],
    references: Mapping[str, Sequence[np.ndarray]],
    *,
    strength: float,
    importances: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Iterator[None]:
    """Anchors the weights of some layers within the context; nothing of it is left after.

    Args:
        layers: of a model, which trains in the context.
        references: where the weights of each layer should stay, by its name; others are free.
        strength: of the penalty.
        importances: of each weight, as the references; None is 1 for all.
    """
    before: list[tuple[Any, Any]] = []
    try:
        for layer in layers:
            for number, variable in enumerate(list_learnt(layer)):
                if layer.name not in references:
                    continue
                weight = None if importances is None else importances[layer.name][number]
                before.append((variable, variable.regularizer))
                variable.regularizer = _add(
                    variable.regularizer,
                    Anchor(references[layer.name][number], strength=strength, importance=weight),
                )
        yield
    finally:
        for variable, regularizer in before:
            variable.regularizer = regularizer


def _add(first: Any, second: Any) -> Any:
    """Returns both penalties as one: a layer may have brought its own."""
    return second if first is None else lambda x: first(x) + second(x)


def list_learnt(layer: Any) -> list[Any]:
    """Returns a layer's weights that gradients move, frozen for the moment or not."""
    moving = {
        id(x) for name in ("moving_mean", "moving_variance") for x in [getattr(layer, name, None)]
    }
    return [x for x in layer.weights if id(x) not in moving]


def _read(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
