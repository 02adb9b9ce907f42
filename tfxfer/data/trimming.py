"""Batches cut to what their samples use: nobody multiplies what was only filled up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import ContractError
from tfxfer.modality import Modality
from tfxfer.sample import InputSpec

__all__ = ["LENGTH_STEP", "Trimming", "fill_up"]

LENGTH_STEP = 16
"""Lengths of batches are multiples of it: what compiles for each shape meets few of them."""


@dataclass(frozen=True)
class Trimming:
    """Which arrays of a batch are padded, and how far.

    Args:
        modality: knows how far a sample reaches.
        names: of the arrays, in order.
        padded: those whose first side after the batch is filled up.
        longest: that side, whole.
    """

    modality: Modality
    names: tuple[str, ...]
    padded: frozenset[str]
    longest: int

    @classmethod
    def of_inputs(cls, modality: Modality, specs: Mapping[str, InputSpec]) -> Trimming | None:
        """Returns it for a model's inputs; None where none of them is padded.

        Args:
            modality: of the samples.
            specs: what `Modality.list_inputs` returned.

        Raises:
            ContractError: two of them are padded to different lengths.
        """
        padded = {name: spec.shape[0] for name, spec in specs.items() if spec.is_padded}
        if not padded:
            return None
        if len(set(padded.values())) > 1:
            raise ContractError(
                f"modality {modality.name!r}: expected padded inputs of one length. "
                f"Received: {padded}."
            )
        longest = next(iter(padded.values()))
        return cls(modality, tuple(specs), frozenset(padded), longest)

    def find_span(self, arrays: Arrays) -> int:
        """Returns how much of the padded side a batch uses, a multiple of `LENGTH_STEP`."""
        named = arrays if isinstance(arrays, dict) else {self.names[0]: arrays}
        used = self.modality.count_used(named)
        if used is None or not len(used):
            return self.longest
        steps = -(-int(used.max()) // LENGTH_STEP)
        return min(self.longest, max(1, steps) * LENGTH_STEP)

    def trim(self, arrays: Arrays) -> Arrays:
        """Returns a batch, of which what is padded is cut to what its samples use."""
        span = self.find_span(arrays)
        if isinstance(arrays, dict):
            return {
                name: values[:, :span] if name in self.padded else values
                for name, values in arrays.items()
            }
        return arrays[:, :span]


def fill_up(arrays: Arrays, specs: Mapping[str, InputSpec]) -> Arrays:
    """Returns a batch whose padded inputs have their whole length again, with zeros behind.

    Args:
        arrays: of a batch that was cut.
        specs: of the inputs, by name.
    """
    named = arrays if isinstance(arrays, dict) else {next(iter(specs)): arrays}
    whole: dict[str, np.ndarray] = {}
    for name, values in named.items():
        spec = specs.get(name)
        missing = spec.shape[0] - values.shape[1] if spec is not None and spec.is_padded else 0
        if missing > 0:
            sides = [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)]
            values = np.pad(values, sides)
        whole[name] = values
    return whole if isinstance(arrays, dict) else next(iter(whole.values()))
