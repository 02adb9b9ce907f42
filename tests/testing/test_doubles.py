"""The kit itself: good doubles pass everything, broken ones fail exactly the check they break."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfxfer import Registry
from tfxfer.registry.component import Component
from tfxfer.testing import BACKBONE_CHECKS, HEAD_CHECKS, Check, check_backbone, check_head
from tfxfer.testing.check import Examination, Result
from tfxfer.testing.kits import examine_backbone, examine_head

SHARED = Path(__file__).parents[1] / "plugins" / "broken_by_check"
# Found by what the test below installs, not by a class: the fault lies elsewhere.
ELSEWHERE = {"backbone": {"export_uint8_input"}, "head": {"provenance"}}


def faults_of(kind: str) -> dict[str, list[str]]:
    """Reads which double breaks which check without importing them, for the tests' names."""
    import ast

    tree = ast.parse((SHARED / f"double_broken_{kind}s.py").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.decorator_list:
            (mark,) = node.decorator_list
            found.setdefault(ast.literal_eval(mark.args[0]), []).append(node.name)  # type: ignore[attr-defined]
    found["laziness"] = ["Eager" if kind == "backbone" else "EagerHead"]
    return found


def cases(kind: str) -> list[Any]:
    """One double for each check; the others that break it only with --slow."""
    return [
        pytest.param(check, name, id=f"{check}-{name}", marks=[pytest.mark.slow] * (number > 0))
        for check, names in faults_of(kind).items()
        for number, name in enumerate(names)
    ]


def run(checks: Sequence[Check], subject: Any, *, without: str = "") -> dict[str, Result]:
    kept = [item for item in checks if item.name != without]
    return {result.name: result for result in Examination(kept, subject).results()}


def failed(results: dict[str, Result]) -> dict[str, str]:
    return {name: item.message for name, item in results.items() if item.outcome == "failed"}


def load(kind: str, name: str) -> Any:
    home = "double_broken_eager" if name.startswith("Eager") else f"double_broken_{kind}s"
    return getattr(import_module(home), name)


def left_out(check: str, request: pytest.FixtureRequest) -> str:
    """Starting a Python with Keras takes longer than all else: --slow asks it of every double."""
    return "" if check == "reload" or request.config.getoption("--slow") else "reload"


@pytest.mark.parametrize("kind", ["backbone", "head"])
def test_every_check_has_a_double_that_breaks_it(kind: str) -> None:
    kit = BACKBONE_CHECKS if kind == "backbone" else HEAD_CHECKS
    assert set(faults_of(kind)) | ELSEWHERE[kind] == {item.name for item in kit}


@pytest.mark.parametrize(("check", "double"), cases("backbone"))
def test_a_broken_backbone_fails_its_check_alone(
    check: str, double: str, request: pytest.FixtureRequest
) -> None:
    subject = examine_backbone(load("backbone", double)).subject
    found = run(BACKBONE_CHECKS, subject, without=left_out(check, request))
    assert set(failed(found)) == {check}, failed(found)
    assert_in_house_style(found[check].message)


@pytest.mark.parametrize(("check", "double"), cases("head"))
def test_a_broken_head_fails_its_check_alone(
    check: str, double: str, request: pytest.FixtureRequest
) -> None:
    subject = examine_head(load("head", double)).subject
    found = run(HEAD_CHECKS, subject, without=left_out(check, request))
    assert set(failed(found)) == {check}, failed(found)
    assert_in_house_style(found[check].message)


def assert_in_house_style(message: str) -> None:
    if "no engine could do" not in message:  # tfxfer-edge's words
        assert "expected " in message
        assert "eceived: " in message
        assert message.rstrip()[-1] in ".]"


def test_a_head_without_a_requirement_on_tfxfer_fails_provenance_alone() -> None:
    # pytest stands for a distribution that says nothing of tfxfer.
    component = Component("head", "double_softmax", "double_good_head:Softmax", "pytest", "9")
    head = load_good("head")
    subject = examine_head(head, component=component).subject
    found = run(HEAD_CHECKS, subject, without="reload")
    assert set(failed(found)) == {"provenance"}
    assert "dependencies = [" in found["provenance"].message


def load_good(kind: str) -> Any:
    if kind == "backbone":
        return import_module("double_good_backbone").Tiny
    return import_module("double_good_head").Softmax


def test_the_good_backbone_passes_everything() -> None:
    heard: list[str] = []
    report = check_backbone(load_good("backbone"), on_result=lambda r: heard.append(r.name))
    outcomes = {result.name: result.outcome for result in report.results}
    # It lies on sys.path, brought by no distribution, and has no weights.
    assert {name: x for name, x in outcomes.items() if x != "passed"} == {
        "provenance": "not_run",
        "weights_sha256": "not_applicable",
    }
    assert report.ok
    assert heard == [item.name for item in BACKBONE_CHECKS]
    assert (report.kind, report.name, report.distribution) == ("backbone", "double_tiny", "")


def test_the_good_head_passes_everything() -> None:
    report = check_head(load_good("head"))
    outcomes = {result.name: result.outcome for result in report.results}
    assert {name: x for name, x in outcomes.items() if x != "passed"} == {"provenance": "not_run"}
    assert report.ok


def test_a_head_of_a_task_of_its_own_passes_everything(
    install_doubles: Callable[..., None],
) -> None:
    install_doubles("ordinal_head")
    report = check_head("double_ordinal", registry=Registry())
    outcomes = {result.name: result.outcome for result in report.results}
    assert {name: x for name, x in outcomes.items() if x != "passed"} == {
        "tempering": "not_applicable",
        "linear_end": "not_applicable",
        "further_labels": "not_applicable",
    }
    assert (report.distribution, report.version) == ("tfxfer-double-ordinal-head", "1.0")


def test_labels_that_the_head_does_not_take_point_at_its_examples() -> None:
    from double_ordinal_head import Ordinal  # type: ignore[import-not-found]

    subject = examine_head(Ordinal, raw_labels=("ant", "bee")).subject
    found = run(HEAD_CHECKS, subject, without="reload")
    assert "Give the class `example_labels` of its task." in found["labels"].message
    assert found["model"].outcome == "not_run"


def test_without_stages_the_check_is_not_applicable_and_the_rest_holds() -> None:
    tiny = load_good("backbone")
    whole = type("Whole", (tiny,), {"stages": (), "__module__": tiny.__module__})
    subject = examine_backbone(whole).subject
    found = run(BACKBONE_CHECKS, subject, without="reload")
    assert found["stages"].outcome == "not_applicable"
    assert not failed(found)
    for name in ("freezing", "phase_head", "phase_fine_tune", "cached"):
        assert found[name].outcome == "passed"
    waived = Examination(BACKBONE_CHECKS, subject, waivers={"stages": "it has none"})
    assert waived.result("stages").outcome == "failed"


def test_random_weights_it_cannot_have_become_its_default() -> None:
    tiny = load_good("backbone")
    fixed = type("Fixed", (tiny,), {"random_weights": False, "__module__": tiny.__module__})
    assert examine_backbone(fixed).subject.weights == "default"
    assert examine_backbone(tiny).subject.weights is None


def test_a_size_of_the_authors_choice() -> None:
    tiny = load_good("backbone")
    for options in ({"size": 24}, {"image_size": 24}, {"size": 24, "image_size": 16}):
        subject = examine_backbone(tiny, **options).subject
        assert (subject.size, subject.sizes) == (24, (24, 27, 32))
    assert subject.graph(24).inputs[0].shape == (None, 24, 24, 3)
    from tfxfer import UsageError

    with pytest.raises(UsageError, match="at least 16 px"):
        _ = examine_backbone(tiny, size=8).subject.size


# What the exported file is, is the tool's doing: these doubles stand for other tools.


@pytest.fixture
def other_edge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry]]:
    """Makes a registry whose `export` command comes from a package of this test."""
    import sys

    def make(**functions: Any) -> Registry:
        package = ModuleType("double_edge")
        vars(package).update(functions)
        monkeypatch.setitem(sys.modules, "double_edge", package)
        return Registry([EntryPoint("export", "double_edge:command", "tfxfer.commands")])

    return make


def shifted_input(graph: Any, *, recipe: str, calibration: Any) -> Any:
    """tfxfer-edge's own conversion, with the input's zero point 20 too low."""
    from dataclasses import replace

    from tfxfer_edge import convert
    from tfxfer_edge.tflite.flatbuffer import read_model, write_model

    converted = convert(graph, recipe=recipe, calibration=calibration)
    if recipe != "int8":
        return converted
    model = read_model(converted.content)
    main = model.subgraphs[0]
    quantization = main.tensors[int(main.inputs[0])].quantization
    quantization.zeroPoint = quantization.zeroPoint - 20  # the array itself is read-only
    return replace(converted, content=write_model(model))


def test_a_uint8_input_that_means_something_else_fails_its_check_alone(
    other_edge: Callable[..., Registry],
) -> None:
    from tfxfer_edge import freeze, list_modalities

    functions = {"freeze": freeze, "list_modalities": list_modalities}
    registry = other_edge(convert=shifted_input, **functions)
    subject = examine_backbone(load_good("backbone"), registry=registry).subject
    found = run(BACKBONE_CHECKS, subject, without="reload")
    assert set(failed(found)) == {"export_uint8_input"}
    assert "pixel 0 to mean [-1.0, -1.0, -1.0]" in found["export_uint8_input"].message


@pytest.mark.parametrize("functions", [None, {}, {"convert": shifted_input}])
def test_without_tfxfer_edge_exports_are_not_run_and_never_passed(
    functions: dict[str, Any] | None, other_edge: Callable[..., Registry]
) -> None:
    registry = Registry([]) if functions is None else other_edge(**functions)
    subject = examine_backbone(load_good("backbone"), registry=registry).subject
    found = run(BACKBONE_CHECKS, subject, without="reload")
    for name in ("export_float", "export_int8", "export_uint8_input"):
        assert found[name].outcome == "not_run"
    words = "pip install tfxfer-edge" if functions is None else "no functions named"
    assert words in found["export_float"].message
    assert not failed(found)
