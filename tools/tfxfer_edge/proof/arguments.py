"""What an export has to be given, told before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError, RunError, UsageError
from tfxfer.run.directory import RunDirectory

__all__ = ["check_arguments", "is_run"]

_ENDINGS = (".keras", ".h5", ".hdf5")


def check_arguments(
    model: str | Path | RunDirectory,
    *,
    calibration: str | Path | None,
    labels: Sequence[str] | None,
    head: Any,
    preprocessing: Any,
) -> bool:
    """Returns whether the model is a run; refuses what it knows itself, or does not and nobody did.

    Args:
        model: a run or a model file.
        calibration: labelled images.
        labels: names of a model file's outputs.
        head: what they mean.
        preprocessing: what pixels go through before a model file.

    Raises:
        UsageError: something is missing, or given in vain.
        RunError: there is no such file or folder.
        ModelError: what is there is no finished training and no model.
    """
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    if is_run(model):
        given = {"labels": labels, "head": head, "preprocessing": preprocessing}
        needless = [name for name, value in given.items() if value is not None]
        if needless:
            raise UsageError(
                f"run {str(path)!r}: expected nothing that a run knows itself. "
                f"Received: {', '.join(needless)}. Leave that out."
            )
        return True
    if calibration is None:
        raise UsageError(
            f"model {str(path)!r}: expected labelled images, which calibrate and judge it: "
            "--calibration DATA. Received: none. Without labels and without a gate: tfxfer convert"
        )
    if not labels:
        raise UsageError(
            f"model {str(path)!r}: expected the names of its outputs, one a line, in their order: "
            "--labels labels.txt. Received: none."
        )
    return False


def is_run(model: str | Path | RunDirectory) -> bool:
    """Returns whether it is a finished run; False is a model, as far as its name tells.

    Raises:
        RunError: there is no such file or folder.
        ModelError: what is there is no finished training and no model.
    """
    path = model.path if isinstance(model, RunDirectory) else Path(model)
    if not path.exists():
        raise RunError(f"model {str(path)!r}: expected a run or a model. Received: nothing there.")
    if (path / "run.json").is_file():
        run = RunDirectory.open(path)
        manifest = run.read_manifest()
        if not run.model_path.is_file():
            raise ModelError(
                f"run {str(path)!r}: expected a finished training. Received: "
                f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {path}"
            )
        return True
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a SavedModel folder. "
            "Received: a folder with neither run.json nor saved_model.pb."
        )
    if path.is_file() and path.suffix not in _ENDINGS:
        raise ModelError(
            f"model {str(path)!r}: expected a run directory, a .keras file, an .h5 file or a "
            f"SavedModel folder. Received: suffix={path.suffix!r}."
        )
    return False
