"""Heat maps of a network whose looks are known: each of its outputs answers to one colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer import (
    Backbone,
    Preprocessing,
    Stage,
    build_model,
    explain,
)
from tfxfer_heads import Classification

SIDE, SQUARE = 64, 24
COLOURS = ("red", "green", "blue")
INSIDE = 0.8
"""Share of the heat that must lie in the square that the network answers to."""


class Watcher(Backbone):
    """Two convolutions without BatchNormalization; a map of 16 x 16 at 64 px."""

    name = "double_watcher"
    family = "double"
    default_image_size = SIDE
    preprocessing = Preprocessing(scale=(1 / 255,) * 3)
    stages = (Stage("stem", "stem_relu"), Stage("block", "block_relu"))

    def build(self, inputs: Any) -> Any:
        from keras import layers

        x = layers.Conv2D(3, 3, strides=2, padding="same", name="stem_conv")(inputs)
        x = layers.ReLU(name="stem_relu")(x)
        x = layers.Conv2D(3, 2, strides=2, name="block_conv")(x)
        return layers.ReLU(name="block_relu")(x)


def make_watcher(*, sees: bool = True, sureness: float = 30.0) -> Any:
    """Returns a model; one that sees is told what to look for, any other has random weights."""
    model = build_model(
        Watcher(), labels=COLOURS, head=Classification(dropout=0.0), weights=None, seed=3
    )
    if sees:
        own = np.eye(3) - (1 - np.eye(3)) / 2  # a colour, and not grey
        stem, block = np.zeros((3, 3, 3, 3)), np.zeros((2, 2, 3, 3))
        stem[:], block[:] = own / 9, np.eye(3) / 4
        model.get_layer("stem_conv").set_weights([stem, np.full(3, -0.2)])
        model.get_layer("block_conv").set_weights([block, np.zeros(3)])
        dense = next(layer for layer in model.layers if type(layer).__name__ == "Dense")
        dense.set_weights([sureness * np.eye(3), np.zeros(3)])
    return model


def paint(count: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns noise with a red square in one quadrant and a smaller green one in the opposite one.

    Shapes: pixels uint8 (count, 64, 64, 3); where each square is, bool (2, count, 64, 64).
    """
    rng = np.random.default_rng(seed)
    pixels = np.repeat(rng.integers(0, 90, (count, SIDE, SIDE, 1)), 3, axis=3)
    places = np.zeros((2, count, SIDE, SIDE), bool)
    for number in range(count):
        for colour, side in enumerate((SQUARE, SQUARE - 4)):
            quadrant = number % 4 if colour == 0 else 3 - number % 4
            top, left = (2 + SIDE // 2 * half for half in divmod(quadrant, 2))
            rows, columns = slice(top, top + side), slice(left, left + side)
            pixels[number, rows, columns, colour] = 250
            places[colour, number, rows, columns] = True
    return pixels.astype(np.uint8), places


def share_inside(heat: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns which share of each map lies in a place."""
    share: np.ndarray = (heat * places).sum(axis=(1, 2)) / heat.sum(axis=(1, 2))
    return share


@pytest.fixture(scope="module")
def watcher() -> Any:
    return make_watcher()


@pytest.mark.parametrize("options", [{}, {"stage": "stem"}, {"method": "occlusion"}])
def test_it_looks_at_what_it_answers_to(watcher: Any, options: dict[str, Any]) -> None:
    pixels, (red, green) = paint()
    heat = explain(watcher, pixels, **options)
    assert heat.dtype == np.float32
    assert heat.shape == (4, SIDE, SIDE)
    assert heat.min() == 0
    assert heat.max(axis=(1, 2)).tolist() == [1, 1, 1, 1]
    least = INSIDE if options.get("method") is None else 0.6  # a patch reaches beyond the square
    assert share_inside(heat, red).min() >= least
    # What it does not look at fails the same check, and so does a network that knows nothing.
    assert share_inside(heat, green).max() < 0.1
    other = explain(watcher, pixels, label="green", **options)
    assert share_inside(other, green).min() >= least - 0.2
    assert share_inside(other, red).max() < 0.1
    random = explain(make_watcher(sees=False), pixels, label="red", **options)
    random[~random.any(axis=(1, 2))] = 1  # a map that is blank is right about nothing
    assert share_inside(random, red).max() < least
