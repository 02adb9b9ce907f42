"""Where a run goes that nobody gave a place, and where what it caches goes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tfxfer.errors import RunError
from tfxfer.run.directory import RunDirectory, is_run_folder
from tfxfer.run.shelf_owner import RUN_SHELF

__all__ = ["RUNS", "choose_place", "find_shelf", "is_shelf_needed"]

RUNS = Path("runs")
"""Folder of runs, in the working directory."""


def choose_place(runs: Path = RUNS) -> Path:
    """Returns the folder of the next run: one above the highest number that is taken.

    Args:
        runs: folder of runs; it need not be there.
    """
    taken = [0]
    if runs.is_dir():
        taken += [int(path.name) for path in runs.iterdir() if path.name.isdecimal()]
    return runs / str(max(taken) + 1)


def find_shelf(out: Path, cache_dir: str | None) -> Path:
    """Returns the folder of a run's cached activations: the same for whoever goes on with it.

    Args:
        out: the run directory.
        cache_dir: where the user wants caches; None leaves them to the run.
    """
    run = RunDirectory(out)
    if cache_dir is None:
        return run.checkpoints / RUN_SHELF
    # Two machines may have a run at one path each, and share the folder of caches.
    words = "\0".join(filter(None, (str(out.resolve()), run.read_mark())))
    name = hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()
    return Path(cache_dir) / f"tfxfer-run-{name[:16]}"


def is_shelf_needed(folder: Path, run: Path) -> bool:
    """Returns whether a training can still go on with what is cached in a folder.

    It cannot where its run is gone or done, or caches elsewhere by now. In doubt it can.

    Args:
        folder: of cached activations.
        run: that they belong to.
    """
    if not is_run_folder(run):
        return False
    try:
        manifest = RunDirectory(run).read_manifest()
    except RunError:
        # Just begun, or damaged: a person may still mend it.
        return True
    if manifest.status == "done":
        return False
    cache_dir = manifest.request.get("cache_dir")
    place = find_shelf(run, cache_dir if isinstance(cache_dir, str) else None)
    return place.resolve() == folder.resolve()
