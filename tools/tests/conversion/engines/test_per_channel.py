"""One scale for each channel of a kernel, or one for all of it, as the recipe says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import UsageError
from tfxfer_edge import FrozenGraph, Recipe, convert, freeze
from tfxfer_edge.tflite.flatbuffer import tensor_table

SIDE, CHANNELS = 16, 32
KINDS = {"int8": ("static", 8), "int16x8": ("static", 16), "dynamic_w8": ("dynamic", None)}


@pytest.fixture(scope="module")
def graph() -> FrozenGraph:
    """A convolution and a dense layer that are large enough for both engines to bother."""
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(pixels)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, keras.layers.Dense(64, activation="softmax")(x))
    return freeze(model, preprocessing="in_graph")


def count_scales(content: bytes) -> set[int]:
    """Returns how many scales the large convolution's kernel has."""
    return {
        len(row.scale)
        for row in tensor_table(content)
        if row.is_constant and row.dtype == "int8" and tuple(row.shape) == (CHANNELS, 3, 3, 16)
    }


@pytest.mark.parametrize("engine", ["quantizer", "converter"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("per_channel", [True, False])
def test_both_engines_do_what_the_recipe_says(
    graph: FrozenGraph, name: str, engine: Any, per_channel: bool, photos: Any
) -> None:
    kind: Any = KINDS[name][0]
    recipe = Recipe(name, kind, 8, KINDS[name][1], per_channel=per_channel)
    pixels = photos(12, side_px=SIDE)
    made = convert(graph, recipe=recipe, calibration=pixels, engine=engine)
    assert count_scales(made.content) == {CHANNELS if per_channel else 1}


def test_a_selective_recipe_of_one_scale_for_a_kernel(graph: FrozenGraph, photos: Any) -> None:
    recipe = Recipe("mine", "static", 8, 8, per_channel=False, selective=True)
    made = convert(graph, recipe=recipe, calibration=photos(12, side_px=SIDE))
    # Kernels of float layers keep 8 bits, and get one scale, too.
    assert count_scales(made.content) == {1}
    assert np.isfinite(graph.run(photos(2, side_px=SIDE))).all()


@pytest.mark.parametrize(("kind", "bits"), [("float", 32), ("float", 16), ("onnx", 32)])
def test_where_there_are_no_scales_it_is_refused(kind: Any, bits: int) -> None:
    with pytest.raises(UsageError, match="per_channel"):
        Recipe("mine", kind, bits, per_channel=False)
