"""Other weights in the last layer of a file, rounded as the ones before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge import convert
from tfxfer_edge.tflite.flatbuffer import read_model
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.last_layer import ENDS, cut_features, find_place, read_dense, read_range
from tfxfer_edge.tflite.refitted_layer import replace_dense


@pytest.fixture(scope="module", params=["int8", "int8_selective", "float32"])
def content(request: Any, small_graph: Any, photos: Any) -> bytes:
    recipe = request.param
    samples = None if recipe == "float32" else photos(24)
    return convert(small_graph, recipe=recipe, calibration=samples).content


@pytest.fixture
def score(small_graph: Any) -> Any:
    """Returns a function that scores pixels with a file."""
    stated = small_graph.normalization  # of a float input; integers know it
    return lambda content, pixels: TFLiteModel(content, preprocessing=stated).score(pixels)


def test_other_weights_give_the_answers_that_they_stand_for(
    content: bytes, photos: Any, score: Any
) -> None:
    pixels = photos(16, seed=5)
    features = score(cut_features(content), pixels)
    kernel, bias = read_dense(content)
    other, shift = kernel[:, ::-1] * 0.5, bias[::-1] + 0.25
    logits = features @ other + shift
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = replace_dense(content, other, shift, low=logits.min(), high=logits.max())
    found = score(made, pixels)
    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert np.abs(score(content, pixels) - wanted).max() > 0.1  # which the old ones do not


def test_what_was_there_can_be_written_again(content: bytes, photos: Any, score: Any) -> None:
    kernel, bias = read_dense(content)
    same = replace_dense(content, kernel, bias, low=0.0, high=0.0)
    for ours, theirs in zip(read_dense(same), (kernel, bias), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    pixels = photos(8, seed=6)
    np.testing.assert_array_equal(score(same, pixels), score(content, pixels))


def test_integers_have_room_for_larger_logits(small_graph: Any, photos: Any) -> None:
    content = convert(small_graph, recipe="int8", calibration=photos(24)).content
    kernel, bias = read_dense(content)
    made = replace_dense(content, kernel, bias, low=-50.0, high=80.0)
    place = find_place(made, ends=ENDS)
    low, high = read_range(place.tensors[place.chain[0]])
    step = (high - low) / 255
    assert low == pytest.approx(-50, abs=step)
    assert high == pytest.approx(80, abs=step)
    # The network before it is bit for bit what it was.
    before, after = (read_model(cut_features(x)).subgraphs[0] for x in (content, made))
    assert len(before.operators) == len(after.operators)


def test_weights_of_another_shape_are_refused(content: bytes) -> None:
    kernel, bias = read_dense(content)
    with pytest.raises(ModelError, match="expected a last layer of shape"):
        replace_dense(content, kernel[:-1], bias, low=0, high=1)


def test_a_large_bias_beside_small_weights_has_room(photos: Any, small_graph: Any) -> None:
    content = convert(small_graph, recipe="int8", calibration=photos(24)).content
    kernel, bias = read_dense(content)
    tiny = kernel * 1e-12
    large = np.linspace(-4.0, 4.0, len(bias))
    found_kernel, found_bias = read_dense(replace_dense(content, tiny, large, low=-5, high=5))
    assert found_bias == pytest.approx(large, abs=1e-3)
    assert np.abs(found_kernel).max() < 1e-6
