"""`io=` of `convert`: the same network behind ends of another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer import Preprocessing
from tfxfer.errors import UsageError
from tfxfer_edge import Converted, FrozenGraph, convert, freeze, get_recipe
from tfxfer_edge.conversion.end_types import END_TYPES, keep_allowed
from tfxfer_edge.tflite.flatbuffer import list_operators
from tfxfer_edge.tflite.interpreter import TFLiteModel

Photos = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def plain(small_graph: FrozenGraph, photos: Photos) -> Converted:
    return convert(small_graph, recipe="int8", calibration=photos(24))


@pytest.mark.parametrize("io", END_TYPES)
@pytest.mark.parametrize("engine", ["quantizer", "converter"])
def test_all_ends_answer_as_uint8_does(
    small_graph: FrozenGraph, photos: Photos, io: Any, engine: Any
) -> None:
    plain = convert(small_graph, recipe="int8", calibration=photos(24), engine=engine)
    made = convert(small_graph, recipe="int8", calibration=photos(24), engine=engine, io=io)
    assert (made.input_dtype, made.output_dtype) == (io, io)
    assert (made.input_quantization is None) == (io == "float32")
    pixels = photos(12, seed=3)
    stated = made.normalization if io == "float32" else None
    expected = TFLiteModel(plain.content).score(pixels)
    found = TFLiteModel(made.content, preprocessing=stated).score(pixels)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if io == "float32":
        # Pixels lie on the middle of a step, so that nobody's last bit decides which it is.
        steps = made.normalization.apply(pixels) / made.normalization.scale[0]
        assert np.abs(steps - np.rint(steps)).max() < 1e-3
        off = np.abs(np.subtract(made.normalization.mean, 127.5)).max()
        assert 0 < off <= 0.501
    # The control: without the ends' own shift or rescale the answers are others.
    shifted = np.clip(pixels.astype(int) + 40, 0, 255).astype(np.uint8)
    other = TFLiteModel(made.content, preprocessing=stated).score(shifted)
    assert np.abs(other - found).max() > 1e-3


def test_the_default_is_what_it_was(small_graph: FrozenGraph, plain: Converted) -> None:
    assert (plain.input_dtype, plain.output_dtype) == ("uint8", "uint8")
    assert convert(small_graph, recipe="float16").input_dtype == "float32"


def test_a_rescale_of_each_channel_keeps_its_operators(
    make_small: Callable[..., Any], photos: Photos
) -> None:
    each = Preprocessing.from_mean_std(mean=(124.0, 116.0, 104.0), std=(58.0, 57.0, 60.0))
    graph = freeze(make_small(None), preprocessing=each)
    made = convert(graph, recipe="int8", calibration=photos(24), io="int8")
    assert list_operators(made.content)[:2] == ["MUL", "ADD"]
    assert made.input_quantization == (1.0, -128)


def test_selective_files_have_them_too(small_graph: FrozenGraph, photos: Photos) -> None:
    made = convert(small_graph, recipe="int8_selective", calibration=photos(24), io="int8")
    assert (made.input_dtype, made.output_dtype) == ("int8", "int8")


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic_w8", "w8", "int16x8", "onnx"])
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_what_computes_in_float_has_no_integer_ends(recipe: str, io: Any) -> None:
    # Before any work: the model itself is never looked at.
    with pytest.raises(UsageError, match=rf"recipe '{recipe}': expected io float32.*'{io}'"):
        convert("gone", recipe=recipe, io=io)  # type: ignore[arg-type]


def test_another_word_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one of uint8, int8, float32 as io.*'int16'"):
        convert("gone", io="int16")  # type: ignore[arg-type]


def test_auto_leaves_out_what_cannot_and_a_name_is_refused() -> None:
    ladder = [get_recipe(name) for name in ("int8", "int8_selective", "int16x8", "dynamic_w8")]
    kept = keep_allowed(ladder, "int8", named=False)
    assert [item.name for item in kept] == ["int8", "int8_selective"]
    assert keep_allowed(ladder, "float32", named=True) == tuple(ladder)
    with pytest.raises(UsageError, match="'int16x8'"):
        keep_allowed(ladder, "int8", named=True)
    with pytest.raises(UsageError, match="'float16'"):
        keep_allowed([get_recipe("float16")], "uint8", named=False)
