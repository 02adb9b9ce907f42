from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfxfer_edge.inspection.keras_file import inspect_keras
from tfxfer_edge.inspection.keras_products import count_layer_multiplications


def make_layer(kind: str, shape: Any, *, module: str = "keras.layers", **config: Any) -> Any:
    return {
        "class_name": kind,
        "module": module,
        "config": config,
        "build_config": {"input_shape": shape},
    }


CONV = {
    "kernel_size": [3, 3],
    "strides": [2, 2],
    "padding": "same",
    "dilation_rate": [1, 1],
    "data_format": "channels_last",
    "groups": 1,
    "filters": 6,
    "depth_multiplier": 2,
}


@pytest.mark.parametrize(
    ("kind", "shape", "changes", "expected"),
    [
        ("Conv2D", [None, 8, 9, 7], {}, 4 * 5 * 9 * 7 * 6),
        ("Conv2D", [None, 8, 9, 7], {"padding": "valid"}, 3 * 4 * 9 * 7 * 6),
        (
            "Conv2D",
            [None, 8, 9, 7],
            {"padding": "valid", "strides": [1, 1], "dilation_rate": [2, 2]},
            4 * 5 * 9 * 7 * 6,
        ),
        ("Conv2D", [None, 7, 8, 9], {"data_format": "channels_first"}, 4 * 5 * 9 * 7 * 6),
        ("Conv2D", [None, 8, 9, 8], {"groups": 2}, 4 * 5 * 9 * 4 * 6),
        ("DepthwiseConv2D", [None, 8, 9, 7], {}, 4 * 5 * 9 * 7 * 2),
        ("SeparableConv2D", [None, 8, 9, 7], {}, 4 * 5 * (9 * 7 * 2 + 7 * 2 * 6)),
        ("Conv2DTranspose", [None, 8, 9, 7], {}, 8 * 9 * 9 * 7 * 6),
        ("Dense", [None, 20], {"units": 11}, 20 * 11),
        ("Dense", [None, 5, 20], {"units": 11}, 5 * 20 * 11),
        ("LSTM", [None, 9, 4], {"units": 6}, 9 * 4 * 6 * (4 + 6)),
        ("ReLU", [None, 8], {}, 0),
        ("MultiHeadAttention", [None, 5, 20], {}, None),
        ("Conv2D", [None, None, None, 7], {}, None),  # free sizes
        ("Conv2D", [None, 8, 9, 7], {"filters": "6"}, None),
        ("Conv2D", [None, 8, 9, 7], {"groups": 0}, None),
        ("Dense", "x", {"units": 11}, None),
        ("Dense", [], {"units": 11}, None),
    ],
)
def test_counts_are_those_of_a_hand(kind: str, shape: Any, changes: Any, expected: Any) -> None:
    assert count_layer_multiplications(make_layer(kind, shape, **CONV | changes)) == expected


def test_what_somebody_else_s_layer_does_is_not_known() -> None:
    assert count_layer_multiplications(make_layer("Dense", [1, 2], module="ours", units=3)) is None
    assert count_layer_multiplications({"class_name": "Dense"}) is None


def test_a_layer_without_a_shape_is_not_guessed() -> None:
    layer = make_layer("Dense", [None, 20], units=11)
    del layer["build_config"]
    assert count_layer_multiplications(layer) is None


def test_they_are_those_of_the_file_that_is_made_of_it(small: Any, tmp_path: Path) -> None:
    """The small model, counted by its layers, and by the operators that it is converted to."""
    from tfxfer_edge import freeze
    from tfxfer_edge.inspection.tflite_file import inspect_tflite

    small.save(tmp_path / "small.keras")
    ours = inspect_keras(tmp_path / "small.keras")
    theirs = inspect_tflite(freeze(small, preprocessing="in_graph").float_content)
    assert ours["total"]["multiplications"] == theirs["total"]["multiplications"] > 0
    assert ours["remarks"] == []


def test_a_layer_that_is_called_twice_counts_twice(tmp_path: Path) -> None:
    import keras

    shared = keras.layers.Dense(5, name="shared")
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7)], name="inner")
    sources = [keras.Input((3,), name=name) for name in ("a", "b")]
    made = [inner(shared(x)) for x in sources]
    keras.Model(sources, keras.layers.Add()(made)).save(tmp_path / "twice.keras")
    document = inspect_keras(tmp_path / "twice.keras")
    assert document["total"]["multiplications"] == 2 * 3 * 5 + 2 * 5 * 7
    assert document["total"]["parameters"] == 3 * 5 + 5 + 5 * 7 + 7
