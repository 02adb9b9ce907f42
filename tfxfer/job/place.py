"""Where a run goes that nobody gave a place, and where what it caches goes."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["RUNS", "choose_place", "find_shelf"]

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
    if cache_dir is None:
        return out / "checkpoints" / "cache"
    name = hashlib.sha256(str(out.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return Path(cache_dir) / f"tfxfer-run-{name[:16]}"
