"""Layers for the doubles beside this file. Keras only: they load where tfxfer is not installed."""

from __future__ import annotations

from typing import Any

import keras

_register = keras.saving.register_keras_serializable(package="double_broken")


@_register
class StuckFrozen(keras.layers.Dense):
    """Cannot be trained, whoever asks."""

    @property
    def trainable(self) -> bool:
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        pass


@_register
class Counter(keras.layers.Layer):
    """Counts the batches of a training, frozen or not; passes its input on."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.count.assign_add(1.0)
        return inputs


@_register
class HiddenNorm(keras.layers.Layer):
    """A convolution and a BatchNormalization that the graph does not show."""

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(**options)
        self.filters = filters
        self.conv = keras.layers.Conv2D(filters, 3, padding="same", name="conv")
        self.norm = keras.layers.BatchNormalization(name="norm")

    def build(self, input_shape: Any) -> None:
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.norm(self.conv(inputs), training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.conv.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


@_register
class BrightTraining(keras.layers.Layer):
    """Doubles its input while training, frozen or not."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs * 2.0 if training else inputs


@_register
class HiddenRescale(keras.layers.Layer):
    """Rescales without being called so."""

    def call(self, inputs: Any) -> Any:
        return inputs / 127.5 - 1.0


@_register
class Forgetful(keras.layers.Layer):
    """Does not tell its factor to the file it is saved in."""

    def __init__(self, factor: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
