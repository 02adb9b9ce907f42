"""What becomes of a run, before anything of it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfxfer.data.record import Record, Source
from tfxfer.job.prepare import Prepared, prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
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
