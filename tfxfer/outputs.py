"""How a model from elsewhere ends, and what must follow before its outputs are a head's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["OutputChange", "OutputStep", "Outputs"]

OutputStep = Literal["softmax", "sigmoid", "complement"]
"""`softmax` over all outputs, `sigmoid` of each, or `complement`: one output p becomes 1 - p, p."""


@dataclass(frozen=True)
class Outputs:
    """What is known of the outputs of a model that says nothing of its task.

    Args:
        source: where the model came from, for messages.
        count: how many there are.
        activation: what they went through, such as `softmax`; `linear` where they are what a dense
            layer adds up; None where the model's end does not tell.
        probe: scores a few made-up samples, which takes a moment.
        step: between two values that an output may have, in a quantized file; 0 in floats.

    Shapes: `probe` returns (samples, count).
    """

    source: str
    count: int
    activation: str | None
    probe: Callable[[], np.ndarray]
    step: float = 0.0


@dataclass(frozen=True)
class OutputChange:
    """What makes them a head's answers.

    Args:
        steps: in order; none where they are answers already.
        remark: one line that says so to a person; empty where nothing was done.
    """

    steps: tuple[OutputStep, ...] = ()
    remark: str = ""
