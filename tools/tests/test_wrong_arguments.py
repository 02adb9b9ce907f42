"""What cannot be meant, at every public name: an error of ours in one line, never a raw one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tfxfer_edge
from tfxfer import TfxferError


def make_unbuilt() -> Any:
    import keras

    return keras.Sequential([keras.layers.Dense(2)])


KINDS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a text": lambda: "gone/",
    "a path": lambda: Path("gone"),
    "a negative number": lambda: -1,
    "a list of objects": lambda: [object()],
    "an object": object,
    "an array": lambda: np.zeros((2, 3)),
    "a class": lambda: SimpleNamespace,
    "bytes": lambda: b"no model",
    "an unbuilt model": make_unbuilt,
}

Call = Callable[[Any, Any], Any]

# Each argument with the kinds that it takes; `model` is a small one.
ARGUMENTS: dict[str, tuple[Call, set[str]]] = {
    "add_class(model_path)": (lambda x, _: tfxfer_edge.add_class(x, "new", "photos", "out"), set()),
    "add_class(name)": (lambda x, _: tfxfer_edge.add_class("gone", x, "photos", "out"), set()),
    "add_class(samples)": (lambda x, _: tfxfer_edge.add_class("gone", "new", x, "out"), set()),
    "add_class(out)": (lambda x, _: tfxfer_edge.add_class("gone", "new", "photos", x), set()),
    "convert(model)": (
        lambda x, _: tfxfer_edge.convert(x, recipe="float32", preprocessing="in_graph"),
        set(),
    ),
    "convert(recipe)": (lambda x, model: tfxfer_edge.convert(model, recipe=x), set()),
    "convert(calibration)": (
        lambda x, model: tfxfer_edge.convert(model, calibration=x, preprocessing="in_graph"),
        set(),
    ),
    "convert(preprocessing)": (
        lambda x, model: tfxfer_edge.convert(model, recipe="float32", preprocessing=x),
        set(),
    ),
    "convert(engine)": (
        lambda x, model: tfxfer_edge.convert(model, recipe="float32", engine=x),
        {"None"},
    ),
    "convert_files(model)": (
        lambda x, _: tfxfer_edge.convert_files(x, recipes=["float32"]),
        set(),
    ),
    "convert_files(out)": (
        lambda x, _: tfxfer_edge.convert_files("gone", x, recipes=["float32"]),
        set(),
    ),
    "convert_files(recipes)": (lambda x, _: tfxfer_edge.convert_files("gone", recipes=x), set()),
    "convert(io)": (
        lambda x, model: tfxfer_edge.convert(model, recipe="float32", io=x),
        {"None"},
    ),
    "freeze(model)": (lambda x, _: tfxfer_edge.freeze(x, preprocessing="in_graph"), set()),
    "export(model)": (lambda x, _: tfxfer_edge.export(x, "out"), set()),
    "export(out)": (lambda x, _: tfxfer_edge.export("gone", x), set()),
    "export(max_drop)": (
        lambda x, _: tfxfer_edge.export("gone", "out", max_drop=x),
        set(),
    ),
    "export(recipes)": (lambda x, _: tfxfer_edge.export("gone", "out", recipes=x), set()),
    "get_recipe(name)": (lambda x, _: tfxfer_edge.get_recipe(x), set()),
    "read_recipe(path)": (lambda x, _: tfxfer_edge.read_recipe(x), set()),
    "Recipe(kind)": (lambda x, _: tfxfer_edge.Recipe("r", x, 8), set()),
    "Recipe(weight_bits)": (lambda x, _: tfxfer_edge.Recipe("r", "float", x), set()),
    "read_metadata(content)": (lambda x, _: tfxfer_edge.read_metadata(x), set()),
    "write_metadata(content)": (
        lambda x, _: tfxfer_edge.write_metadata(x, tfxfer_edge.ModelCard("m", labels=("a",))),
        set(),
    ),
    "write_metadata(card)": (lambda x, _: tfxfer_edge.write_metadata(b"TFL3", x), set()),
    "ModelCard(name)": (lambda x, _: tfxfer_edge.ModelCard(x), {"a text"}),
    "ModelCard(labels)": (lambda x, _: tfxfer_edge.ModelCard("m", labels=x), set()),
    "ModelCard(metadata_kind)": (lambda x, _: tfxfer_edge.ModelCard("m", metadata_kind=x), set()),
    "TFLiteModel(path_or_bytes)": (lambda x, _: tfxfer_edge.TFLiteModel(x), set()),
}

# What functions return, what plugins subclass, and what takes no argument.
WITHOUT_ARGUMENTS = {
    "Converted",
    "ExportResult",
    "FrozenGraph",
    "EdgeModality",
    "list_modalities",
}


def test_every_public_function_is_tried() -> None:
    tried = {name.partition("(")[0] for name in ARGUMENTS}
    public = {name for name in tfxfer_edge.__all__ if callable(getattr(tfxfer_edge, name))}
    assert tried | WITHOUT_ARGUMENTS == public
    assert not tried & WITHOUT_ARGUMENTS


def test_public_functions_name_the_model_they_take() -> None:
    for function in (tfxfer_edge.convert, tfxfer_edge.freeze):
        assert "keras.Model" in str(inspect.signature(function).parameters["model"].annotation)


@pytest.mark.parametrize("argument", sorted(ARGUMENTS))
def test_an_argument_of_the_wrong_kind_is_refused_in_our_words(
    argument: str, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, fine = ARGUMENTS[argument]
    failures = []
    for kind, make in KINDS.items():
        if kind in fine:
            continue
        try:
            call(make(), small)
        except TfxferError as error:
            if not str(error) or "object at 0x" in str(error):
                failures.append(f"{kind}: {error}")
        except Exception as error:  # noqa: BLE001 - a raw one is what is looked for
            failures.append(f"{kind}: raw {type(error).__name__}: {error}")
        else:
            failures.append(f"{kind}: let through")
    assert failures == []
