"""A backbone as it should be: small, flat, and nothing heavy imported at the top."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxfer import Backbone, Preprocessing, Stage

_FILTERS = (4, 8, 8)


class Tiny(Backbone):
    """Three blocks of convolution, normalisation and ReLU, each halving the image."""

    name = "double_tiny"
    family = "double"
    default_image_size = 32
    min_image_size = 16
    preprocessing = Preprocessing.from_mean_std(mean=127.5, std=127.5)
    stages = tuple(Stage(f"block_{n}", f"block_{n}_relu") for n in range(1, len(_FILTERS) + 1))
    output = "map"

    def build(self, inputs: Any) -> Any:
        from keras import layers

        x = inputs
        for n, filters in enumerate(_FILTERS, 1):
            x = layers.Conv2D(
                filters, 3, strides=2, padding="same", use_bias=False, name=f"block_{n}_conv"
            )(x)
            x = layers.BatchNormalization(name=f"block_{n}_bn")(x)
            x = layers.ReLU(name=f"block_{n}_relu")(x)
        return x


def constant_image(size_px: int) -> np.ndarray:
    """Returns a gray image, (size, size, 3) float32."""
    return np.full((size_px, size_px, 3), 127.5, np.float32)
