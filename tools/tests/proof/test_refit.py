"""The head of an integer file is fitted to what that file computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge import convert, export
from tfxfer_edge.conversion.recipes import RECIPES
from tfxfer_edge.proof.refit import HeadFitter, is_refitted
from tfxfer_edge.tflite.interpreter import TFLiteModel
from tfxfer_edge.tflite.last_layer import read_dense
from tfxfer_edge.tflite.refitted_layer import replace_dense


class Photos:
    """Stands for a split: photos in memory, of as many classes as it takes."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.raw_labels = [f"{number % 3}" for number in range(len(pixels))]

    def __len__(self) -> int:
        return len(self.pixels)

    def read_views(self, rows: list[int]) -> np.ndarray:
        return self.pixels[rows][:, None]


@pytest.fixture(scope="module")
def int8(small_graph: Any, photos: Any) -> Any:
    return convert(small_graph, recipe="int8", calibration=photos(24))


@pytest.fixture
def fitter(small_graph: Any, photos: Any) -> HeadFitter:
    parts: list[Any] = [Photos(photos(160, seed=1)), Photos(photos(80, seed=2))]
    return HeadFitter(small_graph, *parts)


def test_a_head_that_lost_its_way_is_brought_back(
    fitter: HeadFitter, int8: Any, small_graph: Any, photos: Any
) -> None:
    kernel, bias = read_dense(int8.content)
    wrong = replace(int8, content=replace_dense(
        int8.content, 0.6 * kernel, bias + np.arange(len(bias)), low=-20, high=20
    ))  # fmt: skip
    mended = fitter.fit(wrong)
    assert "the head was fitted to the features of the integer network, on 160" in mended.notes[-1]
    pixels = photos(60, seed=3)
    right = TFLiteModel(small_graph.float_content, preprocessing=small_graph.normalization).score(
        pixels
    )
    off = [np.abs(TFLiteModel(x.content).score(pixels) - right).mean() for x in (wrong, mended)]
    assert off[0] > 0.1
    assert off[1] < off[0] / 4


def test_a_head_of_onnx_is_brought_back_too(fitter: HeadFitter, small: Any, photos: Any) -> None:
    pytest.importorskip("onnxruntime")
    from tfxfer_edge.conversion.onnx import OnnxModel
    from tfxfer_edge.onnx.last_layer import read_onnx_dense, replace_onnx_dense

    made = convert(small, recipe="onnx_int8", calibration=photos(24), preprocessing="in_graph")
    kernel, bias, _ = read_onnx_dense(made.content)
    wrong = replace(
        made, content=replace_onnx_dense(made.content, 0.6 * kernel, bias + np.arange(len(bias)))
    )
    mended = fitter.fit(wrong)
    assert "the head was fitted to the features of the integer network, on 160" in mended.notes[-1]
    pixels = photos(60, seed=3)
    right = np.asarray(small(pixels.astype(np.float32), training=False))
    off = [np.abs(OnnxModel(x.content).score(pixels) - right).mean() for x in (made, wrong, mended)]
    assert off[1] > 0.1
    assert off[2] < off[1] / 4
    # And one that is right stays as good.
    fitted = OnnxModel(fitter.fit(made).content).score(pixels)
    assert np.abs(fitted - right).mean() <= off[0] * 1.05


def test_a_head_that_is_right_loses_nothing(
    fitter: HeadFitter, int8: Any, small_graph: Any, photos: Any
) -> None:
    pixels = photos(60, seed=3)
    right = TFLiteModel(small_graph.float_content, preprocessing=small_graph.normalization).score(
        pixels
    )
    off = [
        np.abs(TFLiteModel(x.content).score(pixels) - right).mean()
        for x in (int8, fitter.fit(int8))
    ]
    assert off[1] <= off[0] * 1.05


def test_the_float_network_runs_once(
    fitter: HeadFitter, int8: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    read = HeadFitter._read_features

    def count(self: HeadFitter, content: bytes, what: str) -> Any:
        seen.append(what)
        return read(self, content, what)

    monkeypatch.setattr(HeadFitter, "_read_features", count)
    fitter.fit(int8)
    fitter.fit(int8)
    assert seen.count("scoring with float32") == 1
    assert seen.count("fitting the head of int8") == 2


def test_what_ends_otherwise_stays(
    fitter: HeadFitter, int8: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelError("model: expected a file that ends in a dense layer.")

    monkeypatch.setattr("tfxfer_edge.proof.refit.read_dense", refuse)
    same = fitter.fit(int8)
    assert same.content == int8.content
    assert "stays as it was trained" in same.notes[-1]


def test_only_8_bit_activations_need_it() -> None:
    assert {name for name, recipe in RECIPES.items() if is_refitted(recipe)} == {
        "int8", "int8_selective", "onnx_int8",
    }  # fmt: skip


def test_an_export_fits_unless_it_is_told_not_to(colour_run: Any, tmp_path: Path) -> None:
    said: dict[bool, list[str]] = {True: [], False: []}
    for refit, lines in said.items():
        result = export(
            colour_run, tmp_path / f"edge{refit}", recipes=("int8",), refit=refit, say=lines.append
        )
        assert result.document["chosen"] == "int8"
    words = SimpleNamespace(
        fitted=any("the head" in line for line in said[True]),
        left=any("the head" in line for line in said[False]),
    )
    assert words.fitted
    assert not words.left
