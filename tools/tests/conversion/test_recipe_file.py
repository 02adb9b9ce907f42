from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import DataError, ModelError, TfxferError, UsageError
from tfxfer_edge import FrozenGraph, Recipe, convert, read_recipe
from tfxfer_edge.tflite.flatbuffer import tensor_table

WEIGHTS = {"num_bits": 8, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
ACTIVATIONS = {"num_bits": 8, "symmetric": False, "granularity": "TENSORWISE", "dtype": "INT"}


def make_rule(**changes: Any) -> dict[str, Any]:
    return {
        "regex": ".*",
        "operation": "*",
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": {
            "weight_tensor_config": WEIGHTS,
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        },
    } | changes


STATIC = make_rule(
    op_config={
        "activation_tensor_config": ACTIVATIONS,
        "weight_tensor_config": WEIGHTS,
        "compute_precision": "INTEGER",
    }
)
DENSE_FLOAT = {"regex": ".*", "operation": "FULLY_CONNECTED", "algorithm_key": "no_quantize"}


def write(folder: Path, document: Any, name: str = "mine.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_rules_do_what_they_say(tmp_path: Path, small_graph: FrozenGraph) -> None:
    recipe = read_recipe(write(tmp_path, [make_rule(), DENSE_FLOAT]))
    assert (recipe.name, recipe.kind, recipe.weight_bits) == ("mine", "file", 8)
    assert not recipe.needs_calibration
    made = convert(small_graph, recipe=recipe)
    assert (made.engine, made.input_dtype) == ("quantizer", "float32")
    kernels = {x.shape: x.dtype for x in tensor_table(made.content) if x.is_constant}
    assert kernels[(5, 16)] == "float32"
    assert kernels[(16, 3, 3, 3)] == "int8"


def test_what_needs_calibration_gets_it(
    tmp_path: Path, small_graph: FrozenGraph, photos: Callable[..., np.ndarray]
) -> None:
    recipe = read_recipe(write(tmp_path, [STATIC]))
    assert recipe.needs_calibration
    assert recipe.activation_bits == 8
    with pytest.raises(UsageError, match="recipe 'mine': expected calibration"):
        convert(small_graph, recipe=recipe)
    made = convert(small_graph, recipe=recipe, calibration=photos(20))
    twin = convert(small_graph, recipe="int8", calibration=photos(20))
    assert made.content == twin.content  # uint8 at its ends, too
    assert convert(small_graph, recipe=recipe, calibration=photos(20), io="int8").input_dtype == (
        "int8"
    )


def test_16_bits_end_in_float32(
    tmp_path: Path, small_graph: FrozenGraph, photos: Callable[..., np.ndarray]
) -> None:
    wide = {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "INT"}
    rule = make_rule(op_config=STATIC["op_config"] | {"activation_tensor_config": wide})
    made = convert(small_graph, recipe=read_recipe(write(tmp_path, [rule])), calibration=photos(20))
    assert (made.input_dtype, made.output_dtype) == ("float32", "float32")


def test_the_recipe_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert read_recipe(write(tmp_path, text)).weight_bits == 8


def test_a_recipe_survives_a_dictionary(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, [STATIC, DENSE_FLOAT]))
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def nested(**changes: Any) -> dict[str, Any]:
    config = make_rule()["op_config"]
    return make_rule(op_config=config | {"weight_tensor_config": WEIGHTS | changes})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ([], "expected a list of rules.*Received: none"),
        ({"rules": []}, "expected a list of rules.*Received: dict"),
        ([3], "rule 1"),
        ([make_rule(), make_rule(operator="CONV_2D")], "rule 2.*'operator'.*Did you mean"),
        ([{"regex": ".*", "operation": "*"}], "rule 1.*algorithm_key"),
        ([make_rule(op_config={"compute_precision": "FLOAT"})], "weight_tensor_config"),
        ([make_rule(op_config=None)], "expected an op_config"),
        ([make_rule(operation="CONV")], "as operation.*'CONV'"),
        ([make_rule(algorithm_key="best")], "as algorithm_key.*'best'"),
        ([make_rule(regex="(")], "expected a regular expression"),
        # LiteRT Quantizer takes this one for a parameter of its algorithm.
        ([nested(numbits=4)], "op_config, weight_tensor_config.*'numbits'.*'num_bits'"),
        ([nested(num_bits="8")], "num_bits"),
        ([nested(num_bits=True)], "num_bits"),
        ([nested(num_bits=64)], "2 to 32 num_bits. Received: 64"),
        ([nested(granularity="ROWS")], "as granularity.*'ROWS'"),
        ([nested(dtype="INT8")], "as dtype.*'INT8'"),
        # And passes over this one, so that all would stay in float32.
        ([nested(num_bits=5)], "that an operator has a kernel for.*5-bit weights"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, document: Any, told: str) -> None:
    path = write(tmp_path, document)
    with pytest.raises((UsageError, DataError), match=f"(?s){told}") as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"recipe file {str(path)!r}")
    assert "\n" not in str(caught.value).strip()
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("name", ["int8.json", "auto.json", "w4.json", "my recipe.json", "-x.json"])
def test_a_name_that_is_taken_or_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected a file name"):
        read_recipe(write(tmp_path, [make_rule()], name))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TfxferError, match=r"JSON file\. Received: No such file"):
        read_recipe(tmp_path / "gone.json")
    with pytest.raises(TfxferError, match=r"JSON file\. Received: Is a directory"):
        read_recipe(tmp_path)


def test_rules_that_fit_nothing_are_told(tmp_path: Path, small_graph: FrozenGraph) -> None:
    recipe = read_recipe(write(tmp_path, [make_rule(regex="no_such_layer")]))
    with pytest.raises(ModelError, match="leaves all of model 'small' in float32"):
        convert(small_graph, recipe=recipe)


def test_rules_without_a_file_are_refused() -> None:
    with pytest.raises(UsageError, match="expected rules with kind 'file'"):
        Recipe("mine", "file", 8)
    with pytest.raises(UsageError, match="expected rules with kind 'file'"):
        Recipe("mine", "static", 8, 8, rules="[]")
