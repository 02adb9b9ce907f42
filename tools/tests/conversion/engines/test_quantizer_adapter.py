"""The canary: what moved inside LiteRT Quantizer is named here before anybody's export fails."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from tfxfer.errors import ModelError
from tfxfer_edge import FrozenGraph, convert
from tfxfer_edge.conversion.engines import integer, quantizer_adapter
from tfxfer_edge.conversion.engines.quantizer_adapter import (
    RELIED_ON,
    WANTED,
    require_quantizer,
)
from tfxfer_edge.conversion.internals import find_moved
from tfxfer_edge.conversion.quantized import ConversionError


def test_everything_is_where_it_was() -> None:
    moved = find_moved(RELIED_ON)
    assert not moved, f"litert-quantizer {version('litert-quantizer')} has moved: {moved}"


def test_the_installed_version_is_one_that_was_tried() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    lines = tomllib.loads(text)["project"]["dependencies"]
    # What a user is told to install is what the distribution asks for.
    assert WANTED in lines
    assert version("litert-quantizer") in Requirement(WANTED).specifier


def test_what_moved_is_named_with_the_versions_that_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils import qsv_utils

    monkeypatch.delattr(qsv_utils, "min_max_update")
    monkeypatch.setattr(RecipeManager, "add_weight_only_config", lambda self, pattern: None)
    with pytest.raises(ConversionError) as caught:
        require_quantizer()
    line = str(caught.value)
    assert "expected litert_quantizer.utils.qsv_utils.min_max_update" in line
    assert "RecipeManager.add_weight_only_config(regex=)" in line
    assert line.endswith("pip install 'litert-quantizer>=0.11,<0.12'")
    assert "\n" not in line


def test_without_it_the_other_engine_does_the_work(
    small_graph: FrozenGraph, photos: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [name for name in sys.modules if name.split(".")[0] == "litert_quantizer"]
    absent: dict[str, Any] = dict.fromkeys([*loaded, "litert_quantizer"])
    for name, module in absent.items():
        monkeypatch.setitem(sys.modules, name, module)
    for recipe in ("int8", "float16"):
        made = convert(small_graph, recipe=recipe, calibration=photos(12))
        assert made.engine == "converter"
        assert any("expected litert_quantizer" in note for note in made.notes)


@pytest.mark.parametrize("found", ["0.10.4", "0.12.0", "1.0"])
def test_a_version_out_of_the_bounds_is_one_line(
    small_graph: FrozenGraph,
    photos: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    found: str,
) -> None:
    # Its names may all be there, and mean something else.
    monkeypatch.setattr(quantizer_adapter, "version", lambda _: found)
    with pytest.raises(ConversionError) as caught:
        require_quantizer()
    assert str(caught.value) == (
        f"engine quantizer: expected litert-quantizer>=0.11,<0.12. Received: litert-quantizer "
        f"{found}. pip install 'litert-quantizer>=0.11,<0.12'"
    )
    made = convert(small_graph, recipe="int8", calibration=photos(12))
    assert made.engine == "converter"
    assert any(f"litert-quantizer {found}" in note for note in made.notes)
    with pytest.raises(ModelError, match="no engine could do recipe 'int8'") as refused:
        convert(small_graph, recipe="int8", calibration=photos(12), engine="quantizer")
    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize(
    "error", [AttributeError("gone"), AssertionError(), NotImplementedError("x")]
)
def test_whatever_it_raises_is_one_line(
    small_graph: FrozenGraph,
    photos: Callable[..., np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    for name in ("find_ranges", "quantize_file"):
        small_graph.memory.clear()  # ranges that were found are kept
        with monkeypatch.context() as patched:
            patched.setattr(integer, name, fail)
            made = convert(small_graph, recipe="int8", calibration=photos(12))
        assert made.engine == "converter"
        (note,) = [x for x in made.notes if x.startswith("engine quantizer")]
        assert "\n" not in note
        assert (str(error) or type(error).__name__) in note
