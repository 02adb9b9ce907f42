"""What an export refuses: gates that nothing keeps, and runs whose own result is worth nothing."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfxfer import Registry
from tfxfer.cli.main import run as run_cli
from tfxfer.errors import DataError, GateError, UnknownHeadError, UsageError
from tfxfer.registry.discovery import find_entry_points
from tfxfer.run.directory import RunDirectory
from tfxfer_edge.exports import export
from tfxfer_edge.proof.run_images import list_run_images
from tfxfer_edge.proof.run_record import find_warnings
from tfxfer_edge.request import check_request
from tfxfer_heads import Classification


@pytest.fixture(scope="module")
def run(colour_run: RunDirectory) -> RunDirectory:
    return colour_run


def test_a_gate_that_nothing_passes(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tfxfer_edge.proof.comparison.paired_difference",
        lambda *_, **__: {"value": 7.0, "low": 5.0, "high": 9.0},
    )
    with pytest.raises(GateError, match=r"at most 1 point\.") as caught:
        export(run, tmp_path / "edge", recipes=("float32",))
    assert caught.value.exit_code == 3
    (candidate,) = caught.value.document["candidates"]  # type: ignore[attr-defined]
    assert not candidate["passed"]
    assert candidate["reason"] == "loses 7.00 points [5.00, 9.00], more than 1"
    assert candidate["val_drop_points"] == {"value": 7.0, "low": 5.0, "high": 9.0}
    assert not (tmp_path / "edge").exists()


@pytest.fixture
def sliced_run(run: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Returns a copy that knows of each image where it is from."""
    copy = RunDirectory.open(shutil.copytree(run.path, tmp_path / "sliced"))
    paths = [line.split(",")[0] for line in run.split_path.read_text().splitlines()[1:]]
    rows = [f"{path},{'north' if number % 2 else 'south'}" for number, path in enumerate(paths)]
    copy.slices_path.write_text("\n".join(["path,site", *rows]) + "\n")
    return copy


def test_the_file_must_keep_the_rules_of_a_gate(sliced_run: RunDirectory, tmp_path: Path) -> None:
    gate = tmp_path / "gate.toml"
    options: dict[str, Any] = {"recipes": ("float32",), "calibration_images": 20, "gate": gate}
    # Wilson's lower end is below 1, whatever so few images say.
    gate.write_text('bound = "low"\nleast = 1\nrules = ["worst-slice accuracy >= 1.0"]\n')
    with pytest.raises(GateError, match=r"gate\.toml.*float32: worst-slice accuracy") as caught:
        export(sliced_run, tmp_path / "edge", **options)
    assert caught.value.exit_code == 3
    (candidate,) = caught.value.document["candidates"]  # type: ignore[attr-defined]
    assert not candidate["passed"]
    assert candidate["gate"]["rules"][0]["where"].startswith("site=")
    assert not (tmp_path / "edge").exists()
    gate.write_text('bound = "low"\nleast = 1\nrules = ["worst-slice accuracy >= 0.1"]\n')
    result = export(sliced_run, tmp_path / "edge", **options)
    assert result.document["chosen"] == "float32"
    assert result.document["gate"] == str(gate)


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ("acuracy >= 0.9", UsageError, "Did you mean 'accuracy'?"),
        ("worst-slice accuracy by sight >= 0.9", DataError, "Did you mean 'site'?"),
        ("recall of ambr >= 0.9", UsageError, "Did you mean 'amber'?"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_before_any_work(
    sliced_run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rule: str,
    error: type[Exception],
    words: str,
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("tfxfer_edge.exports.open_subject", work)
    (tmp_path / "gate.toml").write_text(f'bound = "value"\nrules = ["{rule}"]\n')
    with pytest.raises(error, match=words):
        export(sliced_run, tmp_path / "edge", gate=tmp_path / "gate.toml")


def test_the_rules_are_read_with_the_registry_that_is_given(
    sliced_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("head_of_nobody")
    module.OfNobody = type("OfNobody", (Classification,), {"name": "of_nobody"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "head_of_nobody", module)
    gate = tmp_path / "gate.toml"
    gate.write_text('bound = "value"\nrules = ["worst-slice accuracy by site >= 0.1"]\n')
    sliced_run.write_manifest(replace(sliced_run.read_manifest(), head="of_nobody"))
    head = EntryPoint("of_nobody", "head_of_nobody:OfNobody", "tfxfer.heads")
    registry = Registry([*find_entry_points(), head])
    found = check_request(sliced_run, tmp_path / "edge", gate=gate, registry=registry)
    assert found.rules is not None
    assert found.rules.columns == ("site",)
    with pytest.raises(UnknownHeadError, match="of_nobody"):
        check_request(sliced_run, tmp_path / "edge", gate=gate)


def test_one_command_reads_the_rules_once(
    sliced_run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []

    def count(run: RunDirectory, modality: Any) -> Any:
        listed.append(run.path)
        return list_run_images(run, modality)

    monkeypatch.setattr("tfxfer_edge.proof.rules.list_run_images", count)
    gate = tmp_path / "gate.toml"
    gate.write_text('bound = "value"\nleast = 1\nrules = ["worst-slice accuracy >= 0.1"]\n')
    words = ["--recipe", "float32", "--gate", str(gate), "--out", str(tmp_path / "edge")]
    assert run_cli(["export", str(sliced_run.path), *words]) == 0
    assert listed == [sliced_run.path]


def set_warnings(run: RunDirectory, tmp_path: Path, *entries: dict[str, str]) -> RunDirectory:
    """Returns a copy of a run that was warned of its own result."""
    shutil.copytree(run.path, tmp_path / "warned")
    path = tmp_path / "warned" / "run.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "warnings": list(entries)}))
    return RunDirectory(tmp_path / "warned")


CHANCE = {"kind": "chance", "message": "accuracy cannot be told from guessing", "cause": "too few"}
SILENT = {"kind": "unpredicted_classes", "message": "'amber' is never the answer", "cause": ""}


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        ((CHANCE,), "told from guessing. Likely: too few. To export"),
        ((SILENT,), "'amber' is never the answer. Train longer or on more samples. To export"),
        ((CHANCE, SILENT | {"cause": "too few"}), "never the answer. Likely: too few. To export"),
    ],
)
def test_a_run_at_chance_is_refused_before_any_work(
    warnings: tuple[dict[str, str], ...],
    told: str,
    run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("tfxfer_edge.exports.open_subject", work)
    warned = set_warnings(run, tmp_path, *warnings)
    with pytest.raises(GateError, match="--force") as caught:
        export(warned, tmp_path / "edge")
    assert told in str(caught.value)
    assert caught.value.exit_code == 3
    with pytest.raises(AssertionError, match="work began"):
        export(warned, tmp_path / "edge", force=True)
    # What is exported all the same is told once more.
    checked = check_request(warned, tmp_path / "edge", force=True)
    assert checked.warnings == tuple(item["message"] for item in warnings)


@pytest.mark.parametrize("entries", [(), ({"kind": "other", "message": "m", "cause": ""},)])
def test_other_warnings_hold_nothing_up(
    entries: tuple[dict[str, str], ...], run: RunDirectory, tmp_path: Path
) -> None:
    assert find_warnings(set_warnings(run, tmp_path, *entries)) == ()
    assert find_warnings(run) == ()
