"""Losses that Keras lacks. The one module here that imports Keras; heads import it when built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

__all__ = ["ScaledHuber"]


@keras.saving.register_keras_serializable(package="tfxfer_heads")
class ScaledHuber(keras.losses.Loss):
    """Huber loss of errors measured in standard deviations of the targets.

    `keras.losses.Huber(delta=std)` has the same shape, but its gradient grows with the square of
    the unit: targets in millimetres would train unlike the same targets in metres.

    Args:
        scale: one standard deviation per output, in the targets' units.
        delta: error, in standard deviations, from which the loss grows linearly.
        reduction: as every Keras loss.
        name: as every Keras loss.
        dtype: as every Keras loss.

    Shapes: targets and outputs (batch, outputs); returns (batch,) before the reduction.

    Source:
        Huber 1964, https://doi.org/10.1214/aoms/1177703732.
    """

    def __init__(
        self,
        scale: Sequence[float] = (1.0,),
        delta: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str = "scaled_huber",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.scale = [float(s) for s in scale]
        self.delta = float(delta)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per image."""
        scale = keras.ops.convert_to_tensor(self.scale, dtype=y_pred.dtype)
        return keras.losses.huber(y_true / scale, y_pred / scale, delta=self.delta)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale, "delta": self.delta}
