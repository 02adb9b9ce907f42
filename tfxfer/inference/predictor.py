"""Anything that maps samples to scores; Keras is not among what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.data.provenance import Provenance
from tfxfer.head import Head
from tfxfer.modality import Modality

__all__ = ["BATCH_SAMPLES", "Predictor"]

BATCH_SAMPLES = 32
"""How many samples are read and scored at a time."""


@dataclass(frozen=True)
class Predictor:
    """Anything that maps samples to scores.

    Args:
        source: where it came from, for messages.
        labels: names of the outputs, in order.
        head: decodes the scores and says which metrics fit.
        modality: reads a sample.
        size: of an input, in the modality's unit.
        contract: what the network expects of raw values.
        score: maps inputs, of images pixels 0..255 (images, size, size, 3), to scores.
        provenance: what it was trained on; None where nothing is known.
        remarks: what a person must be told of its outputs, a line each.
        network: the Keras model that scores, where its stages are known; None where all that can be
            asked for is scores.

    Shapes: scores (samples, outputs).
    """

    source: str
    labels: tuple[str, ...]
    head: Head
    modality: Modality
    size: int
    contract: Any
    score: Callable[[Arrays], np.ndarray]
    provenance: Provenance | None = None
    remarks: tuple[str, ...] = ()
    network: Any = None
