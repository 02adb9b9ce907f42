"""The ways to keep what a model knows, as data: no Keras, so that a request is checked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """One way to keep what a model knows.

    Args:
        words: what it does, for people.
        strength: what its penalty is multiplied by where nobody says; None where it has none.
        needs_run: whether it needs an earlier run to go on from.
    """

    words: str
    strength: float | None
    needs_run: bool


METHODS: Mapping[str, Method] = {
    "statistics": Method(
        "the last layer follows from where the features of each class lie", None, needs_run=False
    ),
    "l2sp": Method("weights stay near those the training begins with", 0.1, needs_run=False),
    "ewc": Method(
        "weights that the earlier run's answers depend on stay near those it had",
        100.0,
        needs_run=True,
    ),
    "distill": Method("the earlier model's answers are learnt, too", 1.0, needs_run=True),
    "relations": Method(
        "samples that the earlier model found alike stay alike", 25.0, needs_run=True
    ),
    "lora": Method("kernels move within a low rank", None, needs_run=False),
}
"""By the words of `--keep`."""
