"""A run keeps the files without which its contract means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tfxfer import Modality
from tfxfer.errors import RunError, StorageError
from tfxfer.run.assets import read_run_contract, write_assets
from tfxfer.run.directory import Manifest, RunDirectory


class Keyed(Modality):
    """Its contract is the content of a file."""

    name = "double_keyed"
    check_contract = inspect = list_inputs = read = None  # type: ignore[assignment]

    def read_contract(self, data: Mapping[str, Any], *, assets: Path | None = None) -> Any:
        if "kind" not in data:
            raise KeyError("kind")
        return data["kind"], None if assets is None else (assets / "key.txt").read_text()


class Plain(Keyed):
    """Knows no assets, as a modality of before there were any."""

    def read_contract(self, data: Mapping[str, Any]) -> Any:  # type: ignore[override]
        return data["kind"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="b", head="h", preprocessing={"kind": "x"}))
    return run


def test_assets_are_copied_and_found_again(run: RunDirectory, tmp_path: Path) -> None:
    assert read_run_contract(run, Plain()) == "x"
    assert read_run_contract(run, Keyed()) == ("x", None)
    (tmp_path / "somewhere").write_text("secret")
    write_assets(run, {"key.txt": tmp_path / "somewhere"})
    (tmp_path / "somewhere").unlink()
    moved = run.path.rename(tmp_path / "moved")
    assert read_run_contract(RunDirectory.open(moved), Keyed()) == ("x", "secret")


def test_nothing_is_made_where_there_are_none(run: RunDirectory) -> None:
    write_assets(run, {})
    assert not run.assets.exists()


def test_assets_that_cannot_be_copied(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing\.txt"):
        write_assets(run, {"key.txt": tmp_path / "nothing.txt"})
    assert not list(run.assets.iterdir())


def test_runs_that_do_not_say(run: RunDirectory) -> None:
    run.write_manifest(Manifest(backbone="b", head="h"))
    with pytest.raises(RunError, match="--resume"):
        read_run_contract(run, Keyed())
    run.write_manifest(Manifest(backbone="b", head="h", preprocessing={"other": 1}))
    with pytest.raises(RunError, match="that modality 'double_keyed' reads"):
        read_run_contract(run, Keyed())


def test_a_run_made_anew_loses_them(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "somewhere").write_text("secret")
    write_assets(run, {"key.txt": tmp_path / "somewhere"})
    again = RunDirectory.create(run.path, overwrite=True)
    assert not again.assets.exists()
