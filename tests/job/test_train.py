"""What becomes of a run, before anything of it is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tfxfer import Phase
from tfxfer.data.record import Record, Source
from tfxfer.errors import RunError, StorageError
from tfxfer.job.place import find_shelf
from tfxfer.job.prepare import Prepared, prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import _check_same_plan, train_run
from tfxfer.run.directory import Manifest, RunDirectory


@pytest.fixture
def prepared(install_doubles: Callable[..., None]) -> Iterator[Prepared]:
    """A request of samples that are not there."""
    from tfxfer.registry.lookup import default_registry

    install_doubles("good_backbone")
    default_registry.cache_clear()
    source = Source(Path("gone"), (Record("a/1.png", "a"),), "folders")
    yield prepare(TrainRequest("gone", "double_tiny", weights="none"), source=source)
    default_registry.cache_clear()


def test_a_run_that_is_done_is_returned_as_it_is(tmp_path: Path, prepared: Prepared) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="gone", head="gone", status="done"))
    run.model_path.touch()
    before = run.manifest_path.stat().st_mtime_ns
    assert train_run(prepared, run.path, resume=True).path == run.path
    assert run.manifest_path.stat().st_mtime_ns == before


def test_a_run_that_another_process_finishes_meanwhile_is_left_alone(
    tmp_path: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="gone", head="gone", status="interrupted"))
    original = RunDirectory.lock

    @contextlib.contextmanager
    def lock(self: RunDirectory, **options: Any) -> Iterator[None]:
        run.write_manifest(Manifest(backbone="gone", head="gone", status="done"))
        run.model_path.touch()
        with original(self, **options):
            yield

    monkeypatch.setattr(RunDirectory, "lock", lock)
    assert train_run(prepared, run.path, resume=True).path == run.path
    assert run.read_manifest().status == "done"


def test_what_was_cached_is_not_gone_on_with_uncached(tmp_path: Path) -> None:
    phase = Phase("head", "backbone", 2, 1e-3)
    planned = {"phase": phase.to_dict(), "views": 1, "trainable_parameters": 1, "cached": True}
    manifest = Manifest(backbone="gone", head="gone", plan=(planned,))

    def plan(*, cached: bool) -> Any:
        return SimpleNamespace(phases=(SimpleNamespace(phase=phase, cached=cached),))

    _check_same_plan(tmp_path, manifest, plan(cached=True))
    with pytest.raises(StorageError, match=r"cache phase 'head'.*--cache-dir"):
        _check_same_plan(tmp_path, manifest, plan(cached=False))


def test_nothing_of_a_run_is_touched_while_another_process_has_it(
    tmp_path: Path, prepared: Prepared
) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="gone", head="gone", status="interrupted"))
    (shelf := find_shelf(run.path, None)).mkdir(parents=True)
    (shelf / "half-filled.bin").touch()
    elsewhere = replace(
        prepared, request=replace(prepared.request, cache_dir=str(tmp_path / "other"))
    )
    with run.lock():
        for each in (prepared, elsewhere):
            with pytest.raises(RunError):
                train_run(each, run.path, resume=True)
    assert (shelf / "half-filled.bin").exists()
