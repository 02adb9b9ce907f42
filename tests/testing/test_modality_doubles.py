"""The modality's kit: good doubles pass everything, broken ones fail what they break alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import Registry, Sample, UsageError
from tfxfer.registry.component import Component
from tfxfer.testing import MODALITY_CHECKS, check_modality
from tfxfer.testing.check import Result
from tfxfer.testing.modality_kit import examine_modality

SHARED = Path(__file__).parents[1] / "plugins" / "broken_by_check"
# Found by what a test below installs, not by a class: the fault lies elsewhere.
ELSEWHERE = {"provenance"}
SIZE = 16


def faults() -> dict[str, list[str]]:
    """Reads which double breaks which check without importing them, for the tests' names."""
    tree = ast.parse((SHARED / "double_broken_modalities.py").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {"laziness": ["EagerModality"]}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.decorator_list:
            (mark,) = node.decorator_list
            found.setdefault(ast.literal_eval(mark.args[0]), []).append(node.name)  # type: ignore[attr-defined]
    return found


CASES = [(check, name) for check, names in faults().items() for name in names]


def write_series(folder: Path) -> list[Path]:
    paths = []
    for number in range(3):
        path = folder / f"{number}.npy"
        np.save(path, np.sin(np.arange(20) * (number + 1) * 0.3).astype(np.float32))
        paths.append(path)
    return paths


def good() -> Any:
    return import_module("double_good_modality")


def examine(modality: Any, **options: Any) -> dict[str, Result]:
    given = {"samples": write_series, "contract": good().Gain(2.0), "size": SIZE, **options}
    return {result.name: result for result in examine_modality(modality, **given).results()}


def texts() -> Any:
    return import_module("double_good_texts")


def failed(results: Mapping[str, Result]) -> dict[str, str]:
    return {name: item.message for name, item in results.items() if item.outcome == "failed"}


def test_every_check_has_a_double_that_breaks_it() -> None:
    assert set(faults()) | ELSEWHERE == {item.name for item in MODALITY_CHECKS}


@pytest.mark.parametrize(("check", "double"), CASES)
def test_a_broken_modality_fails_its_check_alone(check: str, double: str) -> None:
    home = "double_broken_eager" if check == "laziness" else "double_broken_modalities"
    found = examine(getattr(import_module(home), double))
    assert set(failed(found)) == {check}, failed(found)
    message = found[check].message
    assert "expected " in message
    assert "eceived: " in message
    assert message.rstrip()[-1] in ".]"


def test_the_good_modality_passes_everything() -> None:
    heard: list[str] = []
    report = check_modality(
        good().Ramp,
        samples=write_series,
        contract=good().Gain(2.0),
        size=SIZE,
        on_result=lambda result: heard.append(result.name),
    )
    outcomes = {result.name: result.outcome for result in report.results}
    assert {name: x for name, x in outcomes.items() if x != "passed"} == {"provenance": "not_run"}
    assert heard == [item.name for item in MODALITY_CHECKS]
    assert (report.ok, report.kind, report.name) == (True, "modality", "double_ramp")


def test_a_distribution_that_requires_no_tfxfer_fails_provenance_alone() -> None:
    # pytest stands for a distribution that says nothing of tfxfer.
    component = Component("modality", "double_ramp", "double_good_modality:Ramp", "pytest", "9")
    found = examine(good().Ramp, component=component)
    assert set(failed(found)) == {"provenance"}
    assert "dependencies = [" in found["provenance"].message


def test_what_was_not_given_is_not_run_and_never_passed() -> None:
    found = examine(good().Ramp, samples=None)
    assert found["findings"].message == "it takes a few series: give samples, or --samples PATH"
    rest = ("metadata", "laziness", "contract", "options", "inputs")
    assert {name: item.outcome for name, item in found.items()} == {
        name: "passed" if name in rest else "not_run" for name in found
    }
    found = examine(good().Ramp, contract=None, registry=Registry([]))
    assert "no installed backbone reads 'double_ramp'" in found["contract"].message
    assert {found[name].outcome for name in ("inputs", "reads", "views", "builds")} == {"not_run"}
    assert not failed(found)


def test_samples_may_be_a_folder_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("no sample")
    paths = write_series(tmp_path)
    for samples in (tmp_path, str(tmp_path), paths, list(map(str, paths))):
        subject = examine_modality(good().Ramp, samples=samples).subject
        assert [sample.path for sample in subject.samples] == paths
    with pytest.raises(UsageError, match=r"at least 2 series\. Received: 1"):
        _ = examine_modality(good().Ramp, samples=paths[:1]).subject.samples
    with pytest.raises(UsageError, match="expected a folder of files"):
        _ = examine_modality(good().Ramp, samples=paths[0]).subject.samples


def test_the_folder_of_the_checks_goes_with_them() -> None:
    examination = examine_modality(good().Ramp, samples=write_series)
    folder = examination.subject.folder
    assert folder.is_dir()
    del examination
    assert not folder.exists()


def test_contract_and_size_may_come_from_a_backbone_that_reads_it(
    install_doubles: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_doubles("good_modality", "good_backbone", "raises_at_import", "unknown_modality")
    (tmp_path / "double_reading.py").write_text(
        "from double_good_modality import Gain\n"
        "from tfxfer import Backbone\n\n\n"
        "class Reading(Backbone):\n"
        "    name = family = 'double_reading'\n"
        "    modality = 'double_ramp'\n"
        "    default_size, min_size = 24, 12\n"
        "    preprocessing = Gain(3.0)\n\n"
        "    def build(self, inputs):\n"
        "        return inputs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from importlib.metadata import EntryPoint

    from tfxfer.registry.discovery import find_entry_points

    point = EntryPoint("double_reading", "double_reading:Reading", "tfxfer.backbones")
    installed = [item for item in find_entry_points() if item.name.startswith("double")]
    registry = Registry([*installed, point])
    for backbone in (None, "double_reading"):
        subject = examine_modality("double_ramp", registry=registry, backbone=backbone).subject
        assert (subject.contract.factor, subject.size) == (3.0, 12)
    # Named, it is taken for what it is: a modality refuses the contract of another.
    found = examine("double_ramp", registry=registry, contract=None, backbone="double_tiny")
    assert set(failed(found)) == {"contract"}
    assert "expected a Gain. Received: Preprocessing(" in found["contract"].message


def test_two_inputs_out_of_table_cells_pass_and_augmentation_is_not_applicable(
    tmp_path: Path,
) -> None:
    listed = tmp_path / "texts.txt"
    listed.write_text("a first one\n\nand a second\n", encoding="utf-8")
    for samples in (["a first one", "and a second"], listed):
        found = examine(texts().Texts, samples=samples, contract=texts().Tokens())
        odd = {name: item.outcome for name, item in found.items() if item.outcome != "passed"}
        assert odd == {
            "provenance": "not_run",
            "copies": "not_applicable",
            "variety": "not_applicable",
        }


def test_an_array_where_two_inputs_are_promised_is_found() -> None:
    class Half(texts().Texts):  # type: ignore[misc]
        def read(self, sample: Sample, **more: Any) -> Any:
            return super().read(sample, **more)["ids"]

    given = ["a first one", "and a second"]
    found = examine(Half, samples=given, contract=texts().Tokens())
    assert "read returned ndarray for 2 inputs" in failed(found)["reads"]
