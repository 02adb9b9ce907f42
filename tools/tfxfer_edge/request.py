"""Whether an export can be done as it was asked for: nothing here loads TensorFlow or Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import DataError, GateError, UsageError
from tfxfer.run.directory import RunDirectory
from tfxfer.system.arguments import check_path
from tfxfer_edge.handover.folder import check_folder
from tfxfer_edge.proof.arguments import check_arguments
from tfxfer_edge.proof.gate import ladder
from tfxfer_edge.proof.preference import PREFERENCES, check_preference
from tfxfer_edge.proof.rules import read_rules
from tfxfer_edge.proof.run_record import find_warnings

__all__ = ["check_request"]


def check_request(
    model: str | Path | RunDirectory,
    out: str | Path | None = None,
    *,
    recipes: Sequence[str] = ("auto",),
    prefer: str = PREFERENCES[0],
    allow_float: bool = False,
    calibration: str | Path | None = None,
    labels: Sequence[str] | None = None,
    head: Any = None,
    preprocessing: Any = None,
    overwrite: bool = False,
    force: bool = False,
    gate: str | Path | None = None,
) -> Path:
    """Returns the folder to make; the arguments are those of `tfxfer_edge.export`.

    Raises:
        UsageError: a word or a combination that cannot be meant, or something is missing.
        DataError: there are no images to calibrate with.
        RunError: no such model, or the folder is taken.
        GateError: the run was warned of its own result.
    """
    ladder(recipes, allow_float=allow_float)
    check_preference(prefer)
    folder = _resolve_folder(model, out)
    check_folder(folder, overwrite=overwrite)
    is_run = check_arguments(
        model, calibration=calibration, labels=labels, head=head, preprocessing=preprocessing
    )
    if calibration is not None and not Path(calibration).exists():
        raise DataError(
            f"export of {str(model)!r}: expected labelled images in {str(calibration)!r}. "
            "Received: nothing there."
        )
    if gate is not None:
        read_rules(gate, model, calibration=calibration, labels=labels, head=head)
    if is_run and not force:
        _refuse_worthless(model)
    return folder


def _resolve_folder(model: str | Path | RunDirectory, out: str | Path | None) -> Path:
    path = model.path if isinstance(model, RunDirectory) else check_path(model, where="export")
    if out is not None:
        return check_path(out, where="export", name="out").resolve()
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        return RunDirectory.open(path).export
    raise UsageError(
        f"export of {str(path)!r}: expected a folder to make, for a model outside of a run: "
        "--out DIR. Received: none."
    )


def _refuse_worthless(model: str | Path | RunDirectory) -> None:
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    if not (path / "run.json").is_file():
        return
    warnings = find_warnings(RunDirectory(path))
    if warnings:
        raise GateError(
            f"export of {str(path)!r}: expected a result that is worth exporting. "
            f"Received: {'; '.join(warnings)}. Train longer or on more samples; to export it all "
            "the same: --force"
        )
