"""Where a run goes that nobody gave a place."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RUNS", "choose_place"]

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
