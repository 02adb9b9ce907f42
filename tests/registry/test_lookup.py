"""Entry points become components; one plugin's fault is that plugin's alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest

import tfxfer
from tfxfer import (
    Backbone,
    ContractError,
    Head,
    Monitor,
    PluginConflictError,
    PluginImportError,
    Preprocessing,
    Registry,
    Stage,
    TfxferError,
    UnknownBackboneError,
    UnknownHeadError,
    UnknownPluginError,
    UsageError,
    Weights,
)
from tfxfer.registry.component import Kind
from tfxfer.registry.lookup import RESERVED_COMMANDS, default_registry, get_backbone, get_head

from .fakes import FakeDistribution, point

Install = Callable[..., None]

BROKEN = {
    "double_raises": "raises_at_import",
    "double_needy": "missing_dependency",
    "double_newer": "newer_contract",
    "double_taken": "claims_taken_name_a",
}


class Good(Backbone):
    name = "good"
    family = "double"

    def build(self, inputs: Any) -> Any:
        return inputs


def names(registry: Registry, kind: Any = None) -> dict[str, str]:
    return {c.name: c.status for c in registry.list(kind) if c.name.startswith("double")}


def test_list_tells_provenance_and_imports_nothing(install_doubles: Install) -> None:
    install_doubles("good_backbone", "good_head", "raises_at_import", "commands")
    registry = Registry()
    found = {c.name: c for c in registry.list()}
    tiny = found["double_tiny"]
    assert (tiny.kind, tiny.distribution, tiny.version, tiny.status, tiny.error) == (
        "backbone",
        "tfxfer-double-good-backbone",
        "1.0",
        "ok",
        None,
    )
    assert names(registry, "head") == {"double_softmax": "ok"}
    assert names(registry, "command") == {"double-fail": "ok", "double-hello": "ok"}
    # A plugin that would raise is ok as far as metadata can tell.
    assert found["double_raises"].status == "ok"
    assert not [name for name in sys.modules if name.startswith("double_")]
    kinds = [c.kind for c in registry.list()]
    assert kinds == sorted(kinds, key=list(get_args(Kind)).index)


def test_list_says_missing_when_the_files_are_gone() -> None:
    gone = point("gone", "no_such_module.part:Gone", dist=FakeDistribution("gone-plugin"))
    registry = Registry([gone, point("stdlib", "json:loads")])
    found = {c.name: c for c in registry.list()}
    assert found["stdlib"].status == "ok"
    assert found["gone"].status == "missing"
    assert found["gone"].error == "module 'no_such_module' is not installed"
    with pytest.raises(PluginImportError, match="pip install --force-reinstall gone-plugin"):
        registry.load_backbone("gone")


@pytest.mark.parametrize("value", ["", ":", "a b c", "nope:", "sys:no.such"])
def test_malformed_values_cost_only_their_own_name(value: str, install_doubles: Install) -> None:
    install_doubles("good_backbone")
    registry = Registry(
        [point("bad", value), point("double_tiny", "double_good_backbone:Tiny")],
    )
    assert len(registry.list()) == 2
    with pytest.raises((PluginImportError, ContractError)):
        registry.load_backbone("bad")
    assert registry.load_backbone("double_tiny").name == "double_tiny"


def test_load_backbone_and_head(install_doubles: Install) -> None:
    install_doubles("good_backbone", "good_head")
    registry = Registry()
    backbone = get_backbone("double_tiny", registry)
    assert isinstance(backbone, Backbone)
    assert len(backbone.stages) == 3
    assert type(registry.load_backbone("double_tiny")) is type(backbone)
    assert get_head("double_softmax", registry=registry).options() == {"smoothing": 0.0}
    head = get_head("double_softmax", options={"smoothing": 0.1}, registry=registry)
    assert head.options() == {"smoothing": 0.1}


def test_head_options_that_it_does_not_take_are_usage_errors(install_doubles: Install) -> None:
    install_doubles("good_head")
    registry = Registry()
    with pytest.raises(UsageError, match="expected options among: smoothing"):
        registry.load_head("double_softmax", smooth=1)
    with pytest.raises(UsageError, match="smoothing=3: smoothing must lie in"):
        registry.load_head("double_softmax", smoothing=3)


def test_import_error_names_plugin_and_version(install_doubles: Install) -> None:
    install_doubles("raises_at_import", "missing_dependency")
    registry = Registry()
    with pytest.raises(PluginImportError) as caught:
        registry.load_backbone("double_raises")
    assert "RuntimeError: this double cannot be imported" in str(caught.value)
    assert "[tfxfer-double-raises-at-import 1.0]" in str(caught.value)
    with pytest.raises(PluginImportError, match="It needs 'no_such_module_anywhere'"):
        registry.load_backbone("double_needy")


def test_a_plugin_that_exits_python_is_an_import_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "double_exits.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginImportError, match="SystemExit"):
        Registry([point("exits", "double_exits:X")]).load_backbone("exits")


def test_conflict_names_both_and_uninstalls_either(install_doubles: Install) -> None:
    install_doubles("claims_taken_name_a", "claims_taken_name_b", "good_backbone")
    registry = Registry()
    assert names(registry) == {"double_taken": "conflict", "double_tiny": "ok"}
    claims = [c for c in registry.list() if c.name == "double_taken"]
    assert [c.distribution for c in claims] == [
        "tfxfer-double-claims-taken-name-a",
        "tfxfer-double-claims-taken-name-b",
    ]
    with pytest.raises(PluginConflictError) as caught:
        registry.load_backbone("double_taken")
    for letter in "ab":
        assert f"pip uninstall tfxfer-double-claims-taken-name-{letter}" in str(caught.value)
    assert not [name for name in sys.modules if name.startswith("double_claims")]


def test_one_distribution_seen_twice_is_no_conflict() -> None:
    twice = [
        point("good", "json:loads", dist=FakeDistribution("Some.Plugin", "2.0")),
        point("good", "json:loads", dist=FakeDistribution("some_plugin", "1.0")),
    ]
    (found,) = Registry(twice).list()
    assert (found.status, found.version) == ("ok", "2.0")


def test_installed_twice_on_sys_path_is_no_conflict(
    install_doubles: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_doubles("good_backbone")
    older = tmp_path / "older" / "tfxfer_double_good_backbone-0.9.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Name: Tfxfer_Double.Good-backbone\nVersion: 0.9\n")
    (older / "entry_points.txt").write_text(
        "[tfxfer.backbones]\ndouble_tiny = somewhere_else:Tiny\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.parent)])
    (found,) = (c for c in Registry().list() if c.name == "double_tiny")
    assert (found.status, found.version) == ("ok", "1.0")
    # The first one counts even where it offers nothing any more.
    hiding = tmp_path / "newest" / "tfxfer_double_good_backbone-2.0.dist-info"
    hiding.mkdir(parents=True)
    (hiding / "METADATA").write_text("Name: tfxfer-double-good-backbone\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(hiding.parent)
    assert names(Registry()) == {}


def test_our_own_commands_cannot_be_claimed() -> None:
    evil = FakeDistribution("evil")
    registry = Registry([point(name, "json:loads", "command", evil) for name in RESERVED_COMMANDS])
    assert {c.status for c in registry.list()} == {"conflict"}
    with pytest.raises(PluginConflictError, match=f"tfxfer {tfxfer.__version__}"):
        registry.load_command("train")


def test_unreadable_metadata_costs_only_itself(
    install_doubles: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_doubles("good_backbone")
    for name, text in {
        "garbled": "[tfxfer.backbones]\nno equals sign\n",
        "nameless": "[tfxfer.backbones]\nnameless = json:loads\n",
    }.items():
        folder = tmp_path / "damaged" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "entry_points.txt").write_text(text)
        if name == "garbled":
            (folder / "METADATA").write_text("Name: garbled\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "damaged")
    assert names(Registry()) == {"double_tiny": "ok"}


def test_unknown_backbone_gives_close_names_provenance_and_the_way_out() -> None:
    dist = FakeDistribution("some-plugin", "3.1")
    registry = Registry([point("mobilenet_v2", "json:loads", dist=dist)])
    with pytest.raises(UnknownBackboneError) as caught:
        registry.load_backbone("mobilnet_v2")
    lines = str(caught.value).splitlines()
    assert lines[0] == "no backbone named 'mobilnet_v2'. Did you mean 'mobilenet_v2'?"
    assert lines[1] == "  Installed: mobilenet_v2 (some-plugin 3.1). To list all: tfxfer plugins"
    assert lines[2] == "  Try: pip install tfxfer-mobilenet"


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("efficientnet_lite2", "tfxfer-efficientnet"),
        ("efficientnetv2_b0", "tfxfer-efficientnet"),
        ("mobilenet_v2", "tfxfer-mobilenet"),
        ("resnet50", "tfxfer-resnet"),
        ("vgg16", "tfxfer-classics"),
        ("inception_v3", "tfxfer-classics"),
        ("xception", "tfxfer-classics"),
        ("densenet121", "tfxfer-classics"),
        ("convnext_tiny", "tfxfer-classics"),
        ("nasnet_mobile", "tfxfer-classics"),
        ("hub:https://tfhub.dev/x", "tfxfer-hub"),
        ("kerashub:vit_base", "tfxfer-kerashub"),
    ],
)
def test_known_names_say_what_brings_them(name: str, distribution: str) -> None:
    with pytest.raises(UnknownBackboneError, match=f"pip install {distribution}$"):
        Registry([]).load_backbone(name)


def test_unknown_head_and_command() -> None:
    with pytest.raises(UnknownHeadError, match="pip install tfxfer-heads"):
        Registry([]).load_head("ordinal")
    with pytest.raises(UnknownPluginError, match="pip install tfxfer-edge"):
        Registry([]).load_command("export")
    with pytest.raises(UnknownBackboneError) as caught:
        Registry([]).load_backbone("swin_tiny")
    assert "pip install" not in str(caught.value)


def test_command_must_be_a_click_command(install_doubles: Install) -> None:
    install_doubles("commands")
    assert Registry().load_command("double-hello").name == "double-hello"
    with pytest.raises(ContractError, match=r"expected a click\.Command"):
        Registry([point("odd", "json:loads", "command")]).load_command("odd")


def test_requirement_on_another_tfxfer_says_which_side_to_upgrade(
    install_doubles: Install,
) -> None:
    install_doubles("newer_contract")
    with pytest.raises(ContractError, match=r"Upgrade tfxfer: pip install 'tfxfer<0.3,>=0.2'"):
        Registry().load_backbone("double_newer")
    # It is told before the plugin's code runs, which may fail in ways that tell nothing.
    assert "double_newer_contract" not in sys.modules
    old = FakeDistribution("old-plugin", "0.0.1", ("numpy", "tfxfer<0.1", "tfxfer>9; extra=='x'"))
    with pytest.raises(ContractError, match="Upgrade the plugin: pip install --upgrade old-plugin"):
        Registry([point("good", "json:loads", dist=old)]).load_backbone("good")


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("0.2", "Upgrade tfxfer: pip install 'tfxfer==0.2.*'"),
        ("1.0", "Upgrade tfxfer"),
        ("0.0", "Upgrade the plugin: pip install --upgrade double-inline"),
        ("soon", "expected a version such as"),
        (None, "expected a version such as"),
    ],
)
def test_contract_version_of_the_class(
    offer: Callable[..., Registry], version: Any, remedy: str
) -> None:
    made = type("Made", (Good,), {"contract_version": version})
    with pytest.raises(ContractError) as caught:
        offer(made).load_backbone("good")
    assert remedy in str(caught.value)
    assert "[double-inline 2.3]" in str(caught.value)


def test_patch_versions_of_the_contract_fit(offer: Callable[..., Registry]) -> None:
    made = type("Made", (Good,), {"contract_version": "0.1.7"})
    assert offer(made).load_backbone("good").name == "good"


def raise_error(self: Any, *_: Any) -> Any:
    raise OSError("no such thing")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"name": "other"}, "name='other'"),
        ({"family": ""}, "family"),
        ({"modality": ""}, "a word as modality"),
        ({"modality": None}, "a word as modality"),
        ({"preprocessing": {"scale": 1}}, "such as a tfxfer.Preprocessing"),
        ({"stages": [Stage("a", "b")]}, "a tuple of tfxfer.Stage"),
        ({"stages": ("a",)}, "a tuple of tfxfer.Stage"),
        ({"stages": (Stage("a", "b"), Stage("a", "c"))}, "each name once"),
        ({"stages": (Stage("backbone", "b"),)}, "none 'backbone'"),
        ({"output": "maps"}, "'map', 'tokens' or 'vector'"),
        ({"weights": {"imagenet": "a.h5"}}, "tfxfer.Weights"),
        ({"quantization": "swish"}, "a tuple of words"),
        ({"default_image_size": "224"}, "a number of pixels"),
        ({"default_image_size": 16, "min_image_size": 32}, "at least min_image_size"),
        ({"default_size": 16.0}, "in the modality's unit, at least min_size as default_size"),
        ({"default_size": 16, "min_size": 32}, "Received: default_size=16"),
        ({"default_size": 16, "min_size": 0}, "at least min_size"),
        ({"max_size": 64}, "at least default_size, as max_size"),
        ({"max_size": True}, "None, or a number in the modality's unit"),
        ({"licence": None}, "licence"),
        ({"__init__": raise_error}, "OSError: no such thing"),
        ({"__init__": lambda self, size: None}, "cannot be made"),
        ({"stages": property(raise_error)}, "an attribute 'stages'"),
    ],
)
def test_backbone_contract(
    offer: Callable[..., Registry], attributes: dict[str, Any], expected: str
) -> None:
    assert offer(Good).load_backbone("good").name == "good"
    with pytest.raises(ContractError) as caught:
        offer(type("Bad", (Good,), attributes)).load_backbone("good")
    assert expected in str(caught.value)
    assert "[double-inline 2.3]" in str(caught.value)


def test_everything_a_backbone_may_say(offer: Callable[..., Registry]) -> None:
    class Full(Good):
        weights: ClassVar = {"imagenet": Weights(licence="MIT", package="p", member="f")}
        stages = (Stage("a", "b"), Stage("c", "d"))
        quantization = ("swish",)
        preprocessing = Preprocessing(scale=2.0)

    assert offer(Full).load_backbone("good").stages[1].end == "d"


def test_a_backbone_of_another_modality_states_its_own_size_and_contract(
    offer: Callable[..., Registry],
) -> None:
    class Tokens:
        def to_dict(self) -> dict[str, Any]:
            return {"length": 128}

    class Texts(Good):
        modality = "text"
        default_size = 128  # type: ignore[assignment]
        min_size = 2  # type: ignore[assignment]
        preprocessing = Tokens()

    loaded = offer(Texts).load_backbone("good")
    assert (loaded.default_size, loaded.min_size) == (128, 2)


@pytest.mark.parametrize("found", [object, Good(), "text", Head, lambda: None])
def test_not_a_backbone_class(offer: Callable[..., Registry], found: Any) -> None:
    with pytest.raises(ContractError, match=r"a subclass of tfxfer\.Backbone"):
        offer(found).load_backbone("good")


def test_abstract_class_names_what_is_missing(offer: Callable[..., Registry]) -> None:
    class Half(Backbone):
        name = "good"
        family = "double"

    with pytest.raises(ContractError, match="expected it to implement build"):
        offer(Half).load_backbone("good")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"figures": None}, "a subclass of tfxfer.evaluation.Figures"),
        ({"figures": property(raise_error)}, "an attribute 'figures'"),
        ({"metadata_kind": " "}, "a word as metadata_kind"),
        ({"complete_strata": "yes"}, "True or False as complete_strata"),
        ({"can_balance": None}, "True or False as can_balance"),
        ({"monitor": "val_accuracy"}, "a tfxfer.Monitor"),
        ({"monitor": Monitor("val_loss", "least")}, "a tfxfer.Monitor"),  # type: ignore[arg-type]
        ({"name": "other"}, "name='other'"),
        ({"__init__": lambda self, size: None}, "options all have a default"),
    ],
)
def test_head_contract(
    offer: Callable[..., Registry],
    install_doubles: Install,
    attributes: dict[str, Any],
    expected: str,
) -> None:
    install_doubles("good_head")
    import double_good_head  # type: ignore[import-not-found]

    bad = type("Bad", (double_good_head.Softmax,), attributes)
    with pytest.raises(ContractError) as caught:
        offer(bad, name="double_softmax", kind="head").load_head("double_softmax")
    assert expected in str(caught.value)


def test_handles(offer: Callable[..., Registry]) -> None:
    class Hub(Good):
        def __init__(self, handle: str) -> None:
            self.handle = handle
            self.name = f"good:{handle}"  # type: ignore[misc]

        @classmethod
        def from_handle(cls, handle: str) -> Hub:
            if handle == "bad":
                raise ValueError("no such handle")
            return cls(handle)

    registry = offer(Hub)
    assert registry.load_backbone("good:https://a.b/c:1").handle == "https://a.b/c:1"  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="expected a handle, as in 'good:HANDLE'"):
        registry.load_backbone("good")
    with pytest.raises(UnknownBackboneError):
        registry.load_backbone("good:")
    with pytest.raises(ContractError, match="ValueError: no such handle"):
        registry.load_backbone("good:bad")
    # A check has no handle to give: the class is what it looks at.
    registry.load_component(registry.list()[0])


def test_a_backbone_without_handles_says_so(offer: Callable[..., Registry]) -> None:
    with pytest.raises(UnknownBackboneError, match="'good' takes no handle after a colon"):
        offer(Good).load_backbone("good:x")


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_one_fault_changes_nothing_for_others(name: str, install_doubles: Install) -> None:
    install_doubles("good_backbone", "good_head", "commands")
    registry = Registry()
    alone = [c for c in registry.list() if c.name.startswith("double")]
    install_doubles(BROKEN[name], *["claims_taken_name_b"] * (name == "double_taken"))
    registry = Registry()
    with pytest.raises(TfxferError):
        registry.load_backbone(name)
    assert [c for c in registry.list() if c.name.startswith("double") and c.name != name] == alone
    assert registry.load_backbone("double_tiny").name == "double_tiny"
    assert registry.load_head("double_softmax").name == "double_softmax"
    assert registry.load_command("double-hello").name == "double-hello"


def test_check_survives_a_plugin_that_kills_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "double_dies.py").write_text(
        "import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos._exit(7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry([point("dies", "double_dies:X")])
    checked = registry.check(registry.list()[0])
    assert "exit code 7: last words" in str(checked.error)


def test_default_registry_is_one_per_process() -> None:
    assert default_registry() is default_registry()
