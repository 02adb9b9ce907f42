"""Where a run's cache goes, so that no two runs share one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tfxfer.job.place import find_shelf
from tfxfer.run.directory import RunDirectory


def test_runs_of_one_path_on_two_machines_share_no_cache(tmp_path: Path) -> None:
    out, caches = tmp_path / "run", str(tmp_path / "caches")
    unmade = find_shelf(out, caches)
    run = RunDirectory.create(out)
    here = find_shelf(out, caches)
    shutil.rmtree(out)
    RunDirectory.create(out)  # the other machine's, as far as its path tells
    assert len({unmade, here, find_shelf(out, caches)}) == 3
    # It stays that of the folder, whatever is trained there.
    before = find_shelf(out, caches)
    RunDirectory.create(out, overwrite=True)
    assert find_shelf(out, caches) == before
    assert find_shelf(out, None) == run.checkpoints / "cache"


def test_a_run_of_an_earlier_version_keeps_its_cache(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    (run.path / ".tfxfer-run").write_bytes(b"")
    name = hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16]
    assert find_shelf(run.path, str(tmp_path)) == tmp_path / f"tfxfer-run-{name}"
