"""Outputs of models that these heads did not build: probabilities, or what becomes some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.outputs import OutputChange, Outputs

__all__ = ["check_probabilities", "widen_single"]

_ROUNDING = 0.01
"""What probabilities in bfloat16 may sum to beside 1: each is off by up to 1 part in 256."""


def widen_single(outputs: Outputs, labels: Sequence[str], *, head: str) -> OutputChange:
    """Returns what makes two classes' probabilities of one output.

    Keras's own data sets count two classes 0 and 1: the output is the probability of the second.

    Raises:
        ModelError: the output is no probability.
    """
    first, second = labels
    meaning = (
        f"its one output is taken for the probability of {second!r}, the second label, and 1 "
        f"minus it for that of {first!r}"
    )
    if outputs.activation == "softmax":
        raise ModelError(
            f"model {outputs.source!r}: expected an output that differs between samples. Received: "
            "a softmax over one output, which is always 1. Train it with a sigmoid, or with 2 "
            "outputs."
        )
    if outputs.activation == "linear":
        return OutputChange(
            ("sigmoid", "complement"),
            f"model {outputs.source!r} ends without an activation: a sigmoid was added, and "
            + meaning,
        )
    if outputs.activation != "sigmoid":
        check_probabilities(outputs, head=head, add="Activation('sigmoid')")
    return OutputChange(("complement",), f"model {outputs.source!r}: {meaning}")


def check_probabilities(outputs: Outputs, *, head: str, add: str, share: bool = False) -> None:
    """Refuses outputs that are no probabilities.

    Args:
        outputs: of a model.
        head: that takes them, for messages.
        add: the layer of Keras that makes some of them.
        share: whether those of a sample must sum to 1.

    Raises:
        ModelError: says what they are, and how to mend it.
    """
    scores = np.asarray(outputs.probe(), np.float64)
    low, high = scores.min(), scores.max()
    # Each output of a quantized file is off by up to half a step.
    allowed = _ROUNDING + 0.5 * outputs.step * scores.shape[1]
    # Not `<` and `>`: a NaN would pass.
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        received = f"{low:.3g} to {high:.3g}"
        remedy = "If they are logits, add the layer that makes probabilities of them"
    elif share and not (np.abs(scores.sum(axis=1) - 1) <= allowed).all():
        sums = scores.sum(axis=1)
        received = f"sums of {sums.min():.3g} to {sums.max():.3g}"
        remedy = "If each label stands alone: --head multilabel. Otherwise end the model in it"
    else:
        return
    expected = "probabilities that sum to 1" if share else "probabilities, 0 to 1"
    raise ModelError(
        f"model {outputs.source!r}: expected outputs that are {expected}, for head {head!r}. "
        f"Received: {received}, ending in {outputs.activation or 'no activation that is known'}. "
        f"{remedy}: keras.Sequential([model, keras.layers.{add}])."
    )
