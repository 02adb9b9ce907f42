"""Modalities, readers and exporters come through the same door as backbones and heads."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest

from tfxfer import (
    Backbone,
    ContractError,
    Modality,
    PluginConflictError,
    PluginImportError,
    Registry,
    UnknownPluginError,
)
from tfxfer.registry.lookup import get_modality

from .fakes import FakeDistribution, point

Install = Callable[..., None]
FAULTY = ("raising_modality", "hanging_modality", "claims_taken_reader_a", "claims_taken_reader_b")


class Scents(Modality):
    name = "good"
    suffixes = frozenset({".scent", ".tar.gz"})

    def check_contract(self, contract: Any) -> None: ...

    def read_contract(self, data: Mapping[str, Any]) -> Any: ...

    def inspect(self, sample: Any) -> Any: ...

    def list_inputs(self, size: int, contract: Any) -> Any: ...

    def read(self, sample: Any, **_: Any) -> Any: ...


def doubles() -> list[EntryPoint]:
    """Returns what the doubles claim; what is really installed here takes its time to check."""
    return [
        found
        for group in ("modalities", "backbones", "heads", "readers", "exporters")
        for found in entry_points(group=f"tfxfer.{group}")
        if found.name.startswith("double")
    ]


def test_a_modality_is_listed_and_loaded(install_doubles: Install) -> None:
    install_doubles("good_modality")
    registry = Registry()
    found = {c.name: c for c in registry.list("modality")}
    assert found["double_ramp"].origin == "tfxfer-double-good-modality 1.0"
    assert not [name for name in sys.modules if name.startswith("double_")]
    modality = get_modality("double_ramp", registry)
    assert isinstance(modality, Modality)
    assert modality is not registry.load_modality("double_ramp")


def test_the_core_brings_its_own_modality_through_the_same_door() -> None:
    found = [(c.name, c.distribution, c.status) for c in Registry().list("modality")]
    assert ("image", "tfxfer", "ok") in found


def test_unknown_names_of_every_kind_say_what_there_is() -> None:
    registry = Registry([point("ramp", "json:loads", "modality", FakeDistribution("ramps", "3"))])
    with pytest.raises(UnknownPluginError) as caught:
        registry.load_modality("ram")
    assert str(caught.value).splitlines() == [
        "no modality named 'ram'. Did you mean 'ramp'?",
        "  Installed: ramp (ramps 3). To list all: tfxfer plugins",
    ]
    with pytest.raises(UnknownPluginError, match=r"pip install tfxfer-text$"):
        registry.load_modality("text")
    with pytest.raises(UnknownPluginError, match=r"pip install tfxfer-edge$"):
        registry.load_reader("tflite")
    with pytest.raises(UnknownPluginError, match=r"pip install tfxfer-edge$"):
        registry.load_exporter("edge")
    with pytest.raises(UnknownPluginError, match="no reader named 'safetensors'") as other:
        registry.load_reader("safetensors")
    assert "pip install" not in str(other.value)


def test_two_readers_of_one_ending_are_an_error_that_names_both(install_doubles: Install) -> None:
    install_doubles("claims_taken_reader_a", "claims_taken_reader_b")
    registry = Registry()
    statuses = [c.status for c in registry.list("reader") if c.name == "doubletaken"]
    assert statuses == ["conflict", "conflict"]
    with pytest.raises(PluginConflictError) as caught:
        registry.load_reader("doubletaken")
    for letter in "ab":
        assert f"pip uninstall tfxfer-double-claims-taken-reader-{letter}" in str(caught.value)
    assert not [name for name in sys.modules if name.startswith("double_reader")]


@pytest.mark.parametrize("kind", ["modality", "exporter"])
def test_two_claims_of_one_name_are_a_conflict_of_any_kind(kind: Any) -> None:
    rivals = [
        point("taken", "json:loads", kind, FakeDistribution("one")),
        point("taken", "json:loads", kind, FakeDistribution("other")),
    ]
    registry = Registry(rivals)
    with pytest.raises(PluginConflictError, match="pip uninstall one or pip uninstall other"):
        getattr(registry, f"load_{kind}")("taken")


def test_one_name_may_be_of_several_kinds() -> None:
    kinds = ("modality", "backbone", "head", "command", "reader", "exporter", "demo")
    registry = Registry([point("same", "json:loads", kind) for kind in kinds])
    assert [(c.kind, c.status) for c in registry.list()] == [(kind, "ok") for kind in kinds]


def test_a_modality_that_cannot_be_imported_is_one_line(install_doubles: Install) -> None:
    install_doubles("raising_modality")
    with pytest.raises(PluginImportError) as caught:
        Registry().load_modality("double_raising")
    message = str(caught.value)
    assert "\n" not in message
    assert "RuntimeError: this modality cannot be imported, as it says on two lines." in message
    assert "pip install --upgrade tfxfer-double-raising-modality" in message
    assert message.endswith("[tfxfer-double-raising-modality 1.0]")


def test_a_fault_costs_its_own_name_only(install_doubles: Install) -> None:
    install_doubles("good_modality", "good_backbone", "good_head", *FAULTY)
    registry = Registry(doubles())
    checked = {c.name: registry.check(c, timeout_s=8) for c in registry.list()}
    assert {name: c.status for name, c in checked.items()} == {
        "double_hanging": "broken",
        "double_raising": "broken",
        "double_ramp": "ok",
        "double_tiny": "ok",
        "double_softmax": "ok",
        "doubletaken": "conflict",
    }
    assert "its import did not end within 8 s" in str(checked["double_hanging"].error)
    assert "[tfxfer-double-hanging-modality 1.0]" in str(checked["double_hanging"].error)
    assert "this modality cannot be imported" in str(checked["double_raising"].error)
    assert not [name for name in sys.modules if name.startswith("double_")]
    assert registry.load_modality("double_ramp").name == "double_ramp"
    assert registry.load_backbone("double_tiny").name == "double_tiny"


def test_a_modality_that_nobody_brings_names_who_wants_it(install_doubles: Install) -> None:
    install_doubles("unknown_modality", "good_modality")
    registry = Registry(doubles())
    backbone = registry.load_backbone("double_homeless")
    with pytest.raises(UnknownPluginError) as caught:
        registry.load_modality_of(backbone)
    assert str(caught.value) == (
        "backbone 'double_homeless' reads samples of modality 'double_smell': expected a "
        "distribution that brings it. Received: double_ramp (tfxfer-double-good-modality 1.0). "
        "Install what tfxfer-double-unknown-modality 1.0 says brings it "
        "[tfxfer-double-unknown-modality 1.0]"
    )
    backbone.modality = "text"  # type: ignore[misc]
    with pytest.raises(UnknownPluginError, match=r"pip install tfxfer-text \[tfxfer-double-unk"):
        registry.load_modality_of(backbone)
    backbone.modality = "double_ramp"  # type: ignore[misc]
    assert registry.load_modality_of(backbone).name == "double_ramp"


def test_a_backbone_from_nowhere_is_named_by_its_module() -> None:
    class Own(Backbone):
        name = "own"
        family = "own"
        modality = "smell"

        def build(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(UnknownPluginError, match=r"Received: none\. .*\[module .*test_kinds\]"):
        Registry([]).load_modality_of(Own())


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"name": "other"}, "the entry point's name 'good'"),
        ({"noun": ""}, "a word other than label, place, score and scores as noun"),
        ({"noun": "score"}, "a word other than label, place, score and scores as noun"),
        ({"plural": None}, "a word as plural"),
        ({"size_unit": None}, "text as size_unit"),
        ({"suffixes": {".npy"}}, "a frozenset of endings"),
        ({"suffixes": frozenset({"npy"})}, "each with its dot"),
        ({"suffixes": frozenset({".NPY"})}, "in lower case"),
        ({"suffixes": frozenset()}, "its samples are files"),
        ({"column": "Path"}, "in lower case"),
        ({"column": "label"}, "other than label, split and group"),
        ({"levels": ["none"]}, "a tuple of different words"),
        ({"levels": ("light",)}, "the first 'none'"),
        ({"levels": ("none", "none")}, "different words"),
        ({"view_options": ["flip"]}, "a mapping of names to defaults"),
        ({"view_options": {"no flip": True}}, "a mapping of names to defaults"),
        ({"contract_version": "0.2"}, "Upgrade tfxfer: pip install 'tfxfer==0.2.*'"),
        ({"inspect": Modality.inspect}, "expected it to implement inspect"),
        ({"read": Modality.read, "inspect": Modality.inspect}, "implement inspect, read"),
        ({"__init__": lambda self, size: None}, "modality 'good' cannot be made"),
        ({"noun": property(lambda self: 1 / 0)}, "an attribute 'noun'"),
    ],
)
def test_contract_of_a_modality(
    offer: Callable[..., Registry], attributes: dict[str, Any], expected: str
) -> None:
    assert offer(Scents, kind="modality").load_modality("good").suffixes == Scents.suffixes
    with pytest.raises(ContractError) as caught:
        offer(type("Bad", (Scents,), attributes), kind="modality").load_modality("good")
    assert expected in str(caught.value)
    assert "[double-inline 2.3]" in str(caught.value)


def test_a_modality_of_table_cells_has_no_endings(offer: Callable[..., Registry]) -> None:
    cells = type("Cells", (Scents,), {"column": "text", "suffixes": frozenset()})
    assert offer(cells, kind="modality").load_modality("good").column == "text"


@pytest.mark.parametrize("found", [object, Scents(), "text", Backbone, lambda: None])
def test_not_a_modality_class(offer: Callable[..., Registry], found: Any) -> None:
    with pytest.raises(ContractError, match=r"a subclass of tfxfer\.Modality"):
        offer(found, kind="modality").load_modality("good")


def read_file(path: Any, *, labels: Any = None, head: Any = None, threads: int = 1) -> Any:
    return path, labels, head, threads


def export_run(output: Any, run: Any, **options: Any) -> Any:
    return output, run, options


def test_readers_and_exporters_are_functions(offer: Callable[..., Registry]) -> None:
    reader = offer(read_file, name="xyz", kind="reader").load_reader(".XYZ")
    assert reader("a", labels=("b",)) == ("a", ("b",), None, 1)
    exporter = offer(export_run, kind="exporter").load_exporter("good")
    assert exporter(1, 2, quick=True) == (1, 2, {"quick": True})


@pytest.mark.parametrize(
    ("kind", "found", "expected"),
    [
        ("reader", "text", "a function that takes (path, *, labels, head)"),
        ("reader", lambda path: path, "got an unexpected keyword argument 'labels'"),
        ("reader", lambda *, labels, head: None, "too many positional arguments"),
        ("exporter", 3, "a function that takes (output, run, **options)"),
        ("exporter", lambda run: run, "too many positional arguments"),
    ],
)
def test_what_cannot_be_called_breaks_the_contract(
    offer: Callable[..., Registry], kind: str, found: Any, expected: str
) -> None:
    registry = offer(found, kind=kind)
    with pytest.raises(ContractError) as caught:
        getattr(registry, f"load_{kind}")("good")
    assert expected in str(caught.value)
    assert "[double-inline 2.3]" in str(caught.value)


def test_readers_in_c_have_no_signature_to_look_at(offer: Callable[..., Registry]) -> None:
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(getattr)
    assert offer(getattr, kind="reader").load_reader("good") is getattr


def test_every_kind_is_loaded_as_its_own(install_doubles: Install) -> None:
    install_doubles("good_modality", "good_backbone", "good_head", "claims_taken_reader_a")
    registry = Registry(doubles())
    loaded = {c.kind: registry.load_component(c) for c in registry.list()}
    assert isinstance(loaded["modality"], Modality)
    assert isinstance(loaded["backbone"], Backbone)
    assert callable(loaded["reader"])
    assert list(loaded) == ["modality", "backbone", "head", "reader"]


def test_a_module_that_is_not_there_is_told_from_metadata() -> None:
    kinds = ("modality", "reader", "exporter", "demo")
    registry = Registry(
        [point("gone", "no_such_module:x", kind, FakeDistribution("gone")) for kind in kinds]
    )
    assert {c.status for c in registry.list()} == {"missing"}
    for kind in kinds:
        with pytest.raises(PluginImportError, match="pip install --force-reinstall gone"):
            getattr(registry, f"load_{kind}")("gone")
