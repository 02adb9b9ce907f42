"""What `tfxfer export` is asked for, looked at before TensorFlow starts, which takes long."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError, RunError, UsageError
from tfxfer.run.directory import RunDirectory

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["check_arguments"]

_FILES = (".keras", ".h5", ".hdf5")


def check_arguments(
    model: str,
    *,
    registry: Registry,
    out: str | None = None,
    calibration: str | None = None,
    labels: Any = None,
    head: str | None = None,
    overwrite: bool = False,
    **_: Any,
) -> None:
    """Refuses what could not be exported, whatever is in the model; imports no TensorFlow.

    Args:
        model: as `tfxfer_edge.export` takes it.
        registry: where heads and modalities are looked up.
        out: the folder to make; None is the run's own.
        calibration: labelled images.
        labels: names of the outputs of a model outside of a run.
        head: of the same.
        overwrite: whether an earlier export may go.

    Raises:
        TfxferError: of the classes that `tfxfer_edge.export` raises.
    """
    from tfxfer.data.sources import read_source
    from tfxfer_edge.handover.folder import check_folder

    path = Path(model)
    if not path.exists():
        raise RunError(f"model {model!r}: expected a run or a model. Received: nothing there.")
    is_run = (path / "run.json").is_file()
    if is_run:
        manifest = RunDirectory.open(path).read_manifest()
        if not (path / "model.keras").is_file():
            raise ModelError(
                f"run {model!r}: expected a finished training. Received: "
                f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {model}"
            )
    elif path.is_dir() and not (path / "saved_model.pb").is_file():
        raise ModelError(
            f"model {model!r}: expected a run directory or a SavedModel folder. "
            "Received: a folder with neither run.json nor saved_model.pb."
        )
    elif path.is_file() and path.suffix not in _FILES:
        raise ModelError(
            f"model {model!r}: expected a run directory, a .keras file, an .h5 file or a "
            f"SavedModel folder. Received: suffix={path.suffix!r}."
        )
    if out is not None:
        check_folder(Path(out).resolve(), overwrite=overwrite)
    elif is_run:
        check_folder(RunDirectory(path).export, overwrite=overwrite)
    else:
        raise UsageError(
            f"export of {model!r}: expected a folder to make, for a model outside of a run: "
            "--out DIR. Received: none."
        )
    if head is not None:
        registry.load_head(head)
    if calibration is not None:
        read_source(calibration, registry.load_modality("image"))
    elif not is_run:
        raise UsageError(
            f"model {model!r}: expected labelled images, which calibrate and judge it: "
            "--calibration DATA. Received: none. Without a gate: tfxfer_edge.convert"
        )
