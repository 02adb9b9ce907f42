"""TensorFlow's converter in a child: the same files, and the memory that it leaks goes with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge import FrozenGraph, convert, freeze
from tfxfer_edge.conversion import converting
from tfxfer_edge.conversion.converting import converting_in_child
from tfxfer_edge.conversion.recipes import get_recipe
from tfxfer_edge.conversion.tensorflow_lite import write_job

RECIPES = ("float32", "float16", "dynamic_w8", "int8", "int16x8")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a conversion in this process fail."""

    def convert_here(*_: Any, **__: Any) -> bytes:
        raise AssertionError("converted in this process")

    monkeypatch.setattr(converting.tensorflow_lite, "convert_function", convert_here)


def test_a_child_writes_the_same_files(
    small: Any, photos: Callable[..., np.ndarray], request: pytest.FixtureRequest
) -> None:
    pixels = photos(12)
    here = freeze(small, preprocessing="in_graph")
    wanted = {x: convert(here, recipe=x, calibration=pixels, engine="converter") for x in RECIPES}
    request.getfixturevalue("refused")
    with converting_in_child():
        # Another graph of the same model: what is kept of the first one is not asked again.
        there = freeze(small, preprocessing="in_graph")
        for name in RECIPES:
            made = convert(there, recipe=name, calibration=pixels, engine="converter")
            assert made.content == wanted[name].content, name
    with pytest.raises(ModelError, match="converted in this process"):
        convert(freeze(small, preprocessing="in_graph"), recipe="float32")


def test_what_the_converter_refuses_is_told_as_here(small_graph: FrozenGraph) -> None:
    with converting_in_child(), pytest.raises(Exception, match="expected samples"):
        converting.convert_quantized(small_graph.function, get_recipe("int8"), None)


def test_a_child_that_ends_is_one_line_and_the_next_conversion_gets_another(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with converting_in_child():
        graph = freeze(small, preprocessing="in_graph")
        with monkeypatch.context() as patched:
            patched.setattr(converting, "_CODE", "read_question()\nos._exit(7)")
            with pytest.raises(ModelError, match="ended Python with exit code 7"):
                convert(graph, recipe="float32")
        assert convert(graph, recipe="float32").content


def test_it_can_be_run_by_hand(small_graph: FrozenGraph, tmp_path: Path) -> None:
    write_job(tmp_path, small_graph.function, None, None, takes_bytes=True)
    subprocess.run(
        [sys.executable, "-m", "tfxfer_edge.conversion.tensorflow_lite", str(tmp_path)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
    )
    content = (tmp_path / "model.tflite").read_bytes()
    assert small_graph.name_ends(content) == small_graph.float_content
