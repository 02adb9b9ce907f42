"""Heat maps of a network whose looks are known: each of its outputs answers to one colour."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer import (
    Backbone,
    DataError,
    ModelError,
    Preprocessing,
    ScheduleError,
    Stage,
    UsageError,
    build_model,
    explain,
)
from tfxfer.inference.keras_model import wrap_model
from tfxfer.inference.predictor import Predictor
from tfxfer.trust.heatmaps import HeatMaps, map_heat, scale_heat
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


def test_each_sample_is_explained_by_its_own_answer(watcher: Any) -> None:
    pixels, (red, green) = paint(2)
    swapped = pixels.copy()
    swapped[1] = pixels[1][..., [1, 0, 2]]  # the larger square is green now
    heat = explain(watcher, swapped)
    assert share_inside(heat, red).min() >= INSIDE  # the place of the larger one
    named = explain(watcher, swapped, label="red")
    assert share_inside(named[:1], red[:1])[0] >= INSIDE
    assert share_inside(named[1:], green[1:])[0] >= INSIDE - 0.2


def test_a_head_may_say_which_output_is_behind_its_answer(watcher: Any) -> None:
    class Least(Classification):
        def pick_outputs(self, scores: np.ndarray) -> np.ndarray:
            found: np.ndarray = scores.argmin(axis=1)
            return found

    whole = wrap_model(watcher)
    least = Predictor(**{**vars(whole), "head": Least()})
    pixels, _ = paint(2)
    assert map_heat(whole, pixels).outputs.tolist() == [0, 0]
    assert map_heat(least, pixels).outputs.tolist() == [2, 2]


def test_many_samples_are_what_each_is_alone(watcher: Any) -> None:
    pixels, _ = paint(11)
    together = explain(watcher, pixels)
    alone = np.concatenate([explain(watcher, item[None]) for item in pixels[[0, 8, 10]]])
    np.testing.assert_allclose(together[[0, 8, 10]], alone, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.5


def test_a_map_without_anything_for_the_label_is_blank_and_said(
    watcher: Any, caplog: pytest.LogCaptureFixture
) -> None:
    grey = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    with caplog.at_level(logging.WARNING):
        heat = explain(watcher, grey, label="blue")
    assert not heat.any()
    assert caplog.messages == ["0: no place speaks for 'blue', its map is all zero"]
    caplog.clear()
    explain(watcher, paint(1)[0])
    assert not caplog.messages


def test_scaling() -> None:
    raw = np.array([[[-1, 2], [4, 0]], [[-1, -2], [0, -4]], [[1, 1], [1, 1]]], np.float32)
    expected = [[[0, 0.5], [1, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]]
    np.testing.assert_array_equal(scale_heat(raw), expected)
    maps = HeatMaps(scale_heat(raw), raw, np.zeros(3, int), np.zeros((3, 1)), "occlusion")
    assert maps.is_blank.tolist() == [False, True, False]


def test_what_only_scores_is_occluded(watcher: Any) -> None:
    whole = wrap_model(watcher)
    scores_only = Predictor(**{**vars(whole), "network": None})
    pixels, _ = paint(1)
    np.testing.assert_array_equal(
        explain(scores_only, pixels), explain(watcher, pixels, method="occlusion")
    )
    with pytest.raises(ModelError, match=r"a file of scores alone"):
        explain(scores_only, pixels, method="gradcam")
    with pytest.raises(UsageError, match="stage='stem' for occlusion"):
        explain(scores_only, pixels, stage="stem")


def test_a_backbone_without_a_map_is_occluded(watcher: Any) -> None:
    class Flat(Watcher):
        name = "double_flat"
        stages = (Stage("stem", "stem_flat"),)
        output = "vector"

        def build(self, inputs: Any) -> Any:
            from keras import layers

            return layers.Flatten(name="stem_flat")(layers.AveragePooling2D(16)(inputs))

    model = build_model(Flat(), labels=COLOURS, head=Classification(), weights=None)
    pixels, _ = paint(1)
    found = map_heat(wrap_model(model), pixels)
    assert (found.method, found.stage) == ("occlusion", None)
    with pytest.raises(ModelError, match=r"Received: none\. Cover places instead"):
        explain(model, pixels, method="gradcam")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": "rde"}, UsageError, "Did you mean 'red'"),
        ({"method": "lime"}, UsageError, "gradcam, occlusion"),
        ({"stage": "blok"}, ScheduleError, "Did you mean 'block'"),
        ({"stage": "backbone"}, ModelError, r"ends at \(3,\). Stages with one: stem, block"),
        ({"stage": "stem", "method": "occlusion"}, UsageError, "Leave it out"),
    ],
)
def test_what_cannot_be_meant(
    watcher: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        explain(watcher, paint(1)[0], **options)


def test_weights_that_are_not_finite(watcher: Any) -> None:
    broken = make_watcher()
    kernel, bias = broken.get_layer("block_conv").get_weights()
    broken.get_layer("block_conv").set_weights([kernel * np.nan, bias])
    with pytest.raises(ModelError, match="finite"):
        explain(broken, paint(1)[0], label="red")


def test_samples_that_are_no_pictures(install_doubles: Callable[..., None]) -> None:
    install_doubles("sensor")
    import double_sensor  # type: ignore[import-not-found]

    whole = wrap_model(make_watcher())
    sensed = Predictor(**{**vars(whole), "modality": double_sensor.SensorModality()})
    with pytest.raises(DataError, match=r"Received: windows, of the modality 'double_sensor'"):
        explain(sensed, np.zeros((1, 8, 3)))
    with pytest.raises(DataError, match="Received: none"):
        explain(whole, np.zeros((0, SIDE, SIDE, 3), np.uint8))
