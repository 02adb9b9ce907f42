"""Canaries for the private names of Keras: each test fails with the name of what has moved."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
from packaging.version import Version

from tfxfer import SetupError
from tfxfer.keras_private import (
    TRIED,
    copy_decay_exclusions,
    find_calls,
    find_source,
    flatten_layers,
    read_compile_arguments,
)

pytestmark = pytest.mark.versions

ROOT = Path(__file__).parent.parent


class Block(keras.layers.Layer):
    """A layer with layers inside, as an outside backbone may have one."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.convolution = keras.Sequential([keras.layers.Conv2D(2, 1, name="conv")], name="inner")

    def call(self, inputs: Any) -> Any:
        return self.convolution(self.norm(inputs))


@pytest.fixture
def graph() -> SimpleNamespace:
    """One dense layer that is called twice, and the sum of both calls."""
    inputs = keras.Input((3,), name="in")
    dense = keras.layers.Dense(3, name="dense")
    first = dense(inputs)
    second = dense(first)
    total = keras.layers.add([first, second], name="sum")
    return SimpleNamespace(inputs=inputs, dense=dense, first=first, second=second, total=total)


def test_find_source_names_the_operation_and_its_call(graph: SimpleNamespace) -> None:
    operation, node = find_source(graph.total)
    assert operation.name == "sum"
    assert [id(x) for x in node.input_tensors] == [id(graph.first), id(graph.second)]
    assert [id(x) for x in node.output_tensors] == [id(graph.total)]
    assert not node.is_input
    assert find_source(graph.inputs)[1].is_input


def test_find_source_tells_two_calls_of_one_layer_apart(graph: SimpleNamespace) -> None:
    (first, at_first), (second, at_second) = find_source(graph.first), find_source(graph.second)
    assert first is second is graph.dense
    assert at_first is not at_second
    assert at_second.input_tensors[0] is graph.first
    # Walks over a graph know a call by its identity.
    assert find_source(graph.first)[1] is at_first


def test_find_calls_lists_them_in_order(graph: SimpleNamespace) -> None:
    made = [call.output_tensors[0] for call in find_calls(graph.dense)]
    assert [id(tensor) for tensor in made] == [id(graph.first), id(graph.second)]
    assert find_calls(keras.layers.Dense(1)) == []


def test_find_calls_knows_functions_that_are_no_layers(graph: SimpleNamespace) -> None:
    model = keras.Model(graph.inputs, keras.ops.exp(graph.inputs))
    exp = model.operations[-1]
    assert not isinstance(exp, keras.layers.Layer)
    assert find_calls(exp)[0].input_tensors[0] is graph.inputs


def test_flatten_layers_looks_into_layers_and_models() -> None:
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, Block(name="block")(inputs), name="model")
    found = flatten_layers(model)
    assert found[0] is model
    names = {layer.name for layer in found}
    assert names >= {"block", "norm", "inner", "conv"}
    assert names - {layer.name for layer in model.layers} >= {"norm", "inner", "conv"}


def test_flatten_layers_stops_where_it_is_told() -> None:
    block = Block(name="block")
    direct = flatten_layers(block, include_self=False, recursive=False)
    assert {layer.name for layer in direct} == {"norm", "inner"}
    assert "conv" in {layer.name for layer in flatten_layers(block, include_self=False)}
    assert block not in flatten_layers(block, include_self=False)


@pytest.mark.parametrize(
    ("function", "owner", "name"),
    [
        (find_source, "KerasTensor", "_keras_history"),
        (lambda tensor: find_source(tensor), "Dense", "_inbound_nodes"),
        (lambda tensor: find_calls(find_source(tensor)[0]), "Dense", "_inbound_nodes"),
        (lambda tensor: flatten_layers(find_source(tensor)[0]), "Dense", "_flatten_layers"),
    ],
)
def test_a_name_that_moved_is_named(
    graph: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[Any], Any],
    owner: str,
    name: str,
) -> None:
    function(graph.first)  # there as yet
    holder = {"KerasTensor": graph.first, "Dense": graph.dense}[owner]
    if name in vars(holder):
        monkeypatch.delattr(holder, name)
    else:
        monkeypatch.delattr(keras.layers.Layer, name)
    said = rf"keras {re.escape(keras.__version__)}: expected {owner}\.{name}.*keras=={TRIED}\.\*"
    with pytest.raises(SetupError, match=said):
        function(graph.first)


def test_read_compile_arguments_gives_back_what_was_given() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(SetupError, match="_compile_config"):
        read_compile_arguments(model)

    def loss(truth: Any, scores: Any) -> Any:
        return keras.ops.abs(truth - scores)

    model.compile("sgd", loss, metrics=["mae"], loss_weights=[2.0], run_eagerly=True)
    found = read_compile_arguments(model)
    assert found["loss"] is loss
    assert (found["metrics"], found["loss_weights"], found["run_eagerly"]) == (["mae"], [2.0], True)
    assert set(found) <= set(inspect.signature(model.compile).parameters)


def test_copy_decay_exclusions_says_which_variables_do_not_decay() -> None:
    kernel, bias = keras.Variable(1.0, name="kernel"), keras.Variable(1.0, name="bias")
    held = keras.Variable(1.0, name="held")
    source = keras.optimizers.AdamW()
    source.exclude_from_weight_decay(var_list=[held], var_names=["bias"])
    for optimizer, decays in ((source, False), (keras.optimizers.AdamW(), True)):
        target = keras.optimizers.AdamW(weight_decay=1.0, learning_rate=1.0)
        copy_decay_exclusions(optimizer, target)
        target.build([kernel, bias, held])
        for variable in (kernel, bias, held):
            variable.assign(1.0)
        target.apply([keras.ops.zeros(()) for _ in range(3)])
        assert float(kernel) == 0
        assert (float(bias) == 0, float(held) == 0) == (decays, decays)


def test_the_version_tried_is_the_one_that_is_tested() -> None:
    assert Version(keras.__version__).release[:2] == Version(TRIED).release


def _sources() -> Iterator[Path]:
    for folder in ("tfxfer", "plugins", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tests" not in path.parts and path.name != "keras_private.py":
                yield path


def _private_names() -> set[str]:
    graph = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    graph.compile("sgd", "mse")
    objects = [graph, graph.layers[0], graph.outputs[0], graph.optimizer, graph.weights[0]]
    objects += [find_source(graph.outputs[0])[1], keras.callbacks.Callback()]
    found = {name for each in objects for name in dir(each)}
    # The standard library calls the folder of a distribution so, too.
    return {name for name in found if re.fullmatch(r"_[a-z]\w*", name)} - {"_path"}


def _uses(path: Path, names: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and node.attr in names:
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield f"{where} {node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src"):
            yield f"{where} {node.module}"
        elif isinstance(node, ast.Constant) and str(node.value) in names:
            yield f"{where} {node.value}"


def test_no_other_module_reads_private_names_of_keras() -> None:
    names = _private_names()
    assert names >= {"_keras_history", "_inbound_nodes", "_flatten_layers"}
    assert [use for path in _sources() for use in _uses(path, names)] == []


def test_the_search_for_private_names_finds_them() -> None:
    found = list(_uses(ROOT / "tfxfer" / "keras_private.py", _private_names()))
    assert {use.split()[1] for use in found} == {
        "_keras_history",
        "_inbound_nodes",
        "_flatten_layers",
        "_compile_config",
    }
