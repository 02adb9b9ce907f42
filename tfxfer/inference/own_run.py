"""Whether data is what a run was trained on: then only its test split may be measured.

And what of its data a run remembers for any other.
"""

from __future__ import annotations

from pathlib import Path

from tfxfer.data.columns import Columns
from tfxfer.run.directory import RunDirectory

__all__ = ["find_own_run", "remember_columns"]


def find_own_run(model: str | Path, data: str | Path) -> RunDirectory | None:
    """Returns the run whose own data this is; None where the data is other, or there is no run.

    Args:
        model: a run directory, or its `model.keras`; another file that lies in a run may be of
            another one.
        data: a folder or a CSV.

    Raises:
        RunError: the run's manifest cannot be read.
    """
    path = Path(model)
    if not path.is_dir() and path.name != "model.keras":
        return None
    folder = path if path.is_dir() else path.parent
    if not (folder / "run.json").is_file():
        return None
    run = RunDirectory.open(folder)
    trained_on = str(run.read_manifest().request.get("data", ""))
    if Path(data).resolve() != Path(trained_on).resolve() or not run.split_path.is_file():
        return None
    return run


def remember_columns(model: str | Path) -> Columns:
    """Returns what the columns of the table were called that a model's run learnt from.

    Args:
        model: a run directory, its `model.keras`, or a file in its `export`.

    Raises:
        RunError: the run's manifest cannot be read.
    """
    path = Path(model)
    folder = path if path.is_dir() else path.parent
    if folder.name == "export":
        folder = folder.parent
    if not (folder / "run.json").is_file():
        return Columns(are_remembered=True)
    return Columns.of_request(RunDirectory.open(folder).read_manifest().request)
