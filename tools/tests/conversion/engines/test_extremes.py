"""Black and white images are calibrated on where an engine needs them, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfxfer.preprocessing import Preprocessing
from tfxfer_edge import FrozenGraph, convert, freeze
from tfxfer_edge.conversion.engines import converter, integer, selective

Photos = Callable[..., np.ndarray]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Returns what each engine calibrates on, filled in as it works."""
    found: dict[str, np.ndarray] = {}
    whole_ranges, whole_convert = integer.find_ranges, converter.convert_quantized

    def find_ranges(content: bytes, samples: Any) -> Any:
        ((_, rows),) = samples.items()
        found["quantizer"] = np.concatenate([next(iter(row.values())) for row in rows])
        return whole_ranges(content, samples)

    def convert_quantized(function: Any, recipe: Any, inputs: Any, **options: Any) -> bytes:
        found["converter"] = inputs[0]
        return whole_convert(function, recipe, inputs, **options)

    monkeypatch.setattr(integer, "find_ranges", find_ranges)
    monkeypatch.setattr(converter, "convert_quantized", convert_quantized)
    return found


def test_litert_quantizer_is_given_the_inputs_range_instead(
    small: Any, photos: Photos, seen: dict[str, np.ndarray]
) -> None:
    graph = freeze(small, preprocessing="in_graph")
    pixels = photos(12) // 4 + 60  # neither black nor white
    made = convert(graph, calibration=pixels, engine="quantizer")
    np.testing.assert_array_equal(seen["quantizer"], graph.normalize(pixels))
    scale, zero = made.input_quantization or (0.0, 0)
    for pixel in (0, 255):
        assert abs(scale * (pixel - zero) - (pixel / 127.5 - 1)) <= 0.501 * scale


def test_the_converter_finds_it_in_the_samples(
    small: Any, photos: Photos, seen: dict[str, np.ndarray]
) -> None:
    graph = freeze(small, preprocessing="in_graph")
    convert(graph, calibration=photos(12) // 4 + 60, engine="converter")
    assert len(seen["converter"]) == 14
    assert (seen["converter"][0].max(), seen["converter"][1].min()) == pytest.approx((-1.0, 1.0))


@pytest.mark.parametrize("engine", ["quantizer", "converter"])
def test_what_rescales_inside_is_reached_by_samples_alone(
    make_small: Callable[..., Any], photos: Photos, seen: dict[str, np.ndarray], engine: Any
) -> None:
    contract = Preprocessing.from_mean_std(mean=(124, 116, 104), std=(58, 57, 60))
    model = make_small(list(contract.scale), list(contract.offset))
    graph = freeze(model, preprocessing="in_graph")
    dark = photos(12) // 8
    made = convert(graph, calibration=dark, engine=engine)
    assert len(seen[engine]) == 14
    assert (seen[engine][0].max(), seen[engine][1].min()) == (0, 255)
    # The product of pixels has room for white, or bright ones would clip.
    from tfxfer_edge.tflite.flatbuffer import tensor_table

    tops = [
        (127 - row.zero_point[0]) * row.scale[0]
        for row in tensor_table(made.content)
        if row.dtype == "int8" and not row.is_constant and row.shape[1:] == (64, 64, 3)
    ]
    assert max(tops) >= max(high for _, high in contract.output_range) * 0.99


def test_texts_have_no_extremes(
    small_graph: FrozenGraph, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer_edge.conversion.engines.extremes import add_extremes
    from tfxfer_edge.modalities.text import TextEdge

    monkeypatch.setattr("tfxfer_edge.conversion.engines.extremes.find_door", lambda _: TextEdge())
    inputs = (photos(3),)
    assert add_extremes(small_graph, inputs) is inputs


def test_probes_of_a_selective_recipe_are_spread_over_all_samples() -> None:
    # As a training split gives them: one class after the other.
    rows = np.arange(100)[:, None]
    graph: Any = type("Graph", (), {"modality": "image", "inputs": [type("In", (), {"name": "x"})]})
    chosen = [int(item["x"][0]) for item in selective._choose_probe(graph, (rows,))]
    assert len(chosen) == 32
    assert min(chosen) < 5
    assert max(chosen) > 94
    assert {number // 10 for number in chosen} == set(range(10))
    few = selective._choose_probe(graph, (rows[:5],))
    assert [int(item["x"][0]) for item in few] == [0, 1, 2, 3, 4]
