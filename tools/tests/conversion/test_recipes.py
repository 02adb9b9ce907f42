from __future__ import annotations

import subprocess
import sys

import pytest

from tfxfer.errors import UsageError
from tfxfer_edge.conversion.recipes import RECIPES, Recipe, get_recipe


def test_names_are_those_of_the_design() -> None:
    assert list(RECIPES) == [
        "float32",
        "float16",
        "dynamic_w8",
        "w8",
        "w4",
        "int8",
        "int16x8",
        "int8_selective",
        "onnx",
        "onnx_int8",
    ]
    assert all(recipe.description for recipe in RECIPES.values())


def test_an_unknown_name_gives_the_closest() -> None:
    with pytest.raises(UsageError, match=r"'int8_selectiv'.*'int8_selective'"):
        get_recipe("int8_selectiv")


@pytest.mark.parametrize("name", list(RECIPES))
def test_survives_a_dictionary(name: str) -> None:
    assert Recipe.from_dict(get_recipe(name).to_dict()) == get_recipe(name)


def test_unknown_keys_are_refused() -> None:
    data = get_recipe("int8").to_dict() | {"weight_bit": 4}
    with pytest.raises(UsageError, match=r"weight_bit\b.*Did you mean 'weight_bits'"):
        Recipe.from_dict(data)


def test_missing_keys_are_refused() -> None:
    with pytest.raises(UsageError, match="weight_bits"):
        Recipe.from_dict({"name": "mine", "kind": "static"})


@pytest.mark.parametrize(
    ("kind", "weight_bits", "activation_bits"),
    [
        ("static", 4, 8),
        ("weights", 2, None),
        ("weights", 4, 8),
        ("static", 8, None),
        ("float", 8, None),
        ("dynamic", 8, 8),
        ("none", 8, 8),
        ("onnx", 8, None),
    ],
)
def test_bits_that_do_not_go_together_are_refused(
    kind: str, weight_bits: int, activation_bits: int | None
) -> None:
    with pytest.raises(UsageError, match="Received"):
        Recipe("mine", kind, weight_bits, activation_bits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weight_bits": "8"}, "weight_bits to be int. Received: weight_bits='8'"),
        ({"weight_bits": True}, "weight_bits to be int"),
        ({"activation_bits": 8.0}, "activation_bits to be int or NoneType"),
        ({"per_channel": "no"}, "per_channel to be bool"),
        ({"selective": 1}, "selective to be bool"),
        ({"kind": ["static"]}, "kind to be str"),
        ({"name": None}, "name to be str"),
    ],
)
def test_values_of_another_type_are_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match="recipe: expected") as caught:
        Recipe.from_dict(get_recipe("int8").to_dict() | change)
    assert told in str(caught.value)


@pytest.mark.parametrize("data", [None, 8, "int8", ["int8"], [["name", "int8"]]])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(UsageError, match="expected an object of keys"):
        Recipe.from_dict(data)  # type: ignore[arg-type]


def test_only_static_recipes_need_images() -> None:
    needing = [name for name, recipe in RECIPES.items() if recipe.needs_calibration]
    assert needing == ["int8", "int16x8", "int8_selective", "onnx_int8"]


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, tfxfer_edge, tfxfer_edge.conversion.attempts, tfxfer_edge.conversion.onnx, "
        "tfxfer_edge.conversion.engines.selective; "
        "print([n for n in ('keras', 'tensorflow', 'litert_quantizer', 'ai_edge_litert', 'onnx') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_shows_its_public_names() -> None:
    import tfxfer_edge

    assert dir(tfxfer_edge) == sorted(tfxfer_edge.__all__)
    for name in tfxfer_edge.__all__:
        assert getattr(tfxfer_edge, name) is not None
    with pytest.raises(AttributeError, match="toco"):
        _ = tfxfer_edge.toco
