"""A head whose weights follow from pooled features, without an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClosedForm"]


@dataclass(frozen=True)
class ClosedForm(ABC):
    """How the weights of one layer of a head follow from pooled features.

    Wherever a phase would train the head alone, the core asks once for these weights instead. A
    phase that trains layers below it trains this one, too; after the last of them the layer is
    fitted again, to the features as they have become.

    Args:
        layer: name of the layer, which stands on the pooled features, but for dropout.
    """

    layer: str

    @abstractmethod
    def fit(
        self, features: np.ndarray, targets: np.ndarray, weights: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Returns the layer's weights.

        Args:
            features: pooled, of the training samples.
            targets: of the same, as `Head.encode` returns them.
            weights: that the layer has: of a training that goes on from another, what it knew of
                labels of which there is no sample now.

        Shapes: features float32 (samples, features), targets (samples, outputs).

        Raises:
            DataError: samples that say too little.
        """

    @abstractmethod
    def add_label(self, weights: Sequence[np.ndarray], features: np.ndarray) -> list[np.ndarray]:
        """Returns the layer's weights with those of one more label, the last.

        Those of the others stay as they are, so that among them no answer changes.

        Args:
            weights: of the layer, as `fit` returned them, or divided by a temperature.
            features: pooled, of samples of the label.

        Shapes: features float32 (samples, features).

        Raises:
            ModelError: weights that are not of this form.
            DataError: no sample.
        """
