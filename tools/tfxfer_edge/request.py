"""Whether an export can be done as it was asked for: nothing here loads TensorFlow or Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.data.sources import read_source
from tfxfer.errors import GateError, StorageError, UsageError
from tfxfer.registry.lookup import Registry, get_head, get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.system.arguments import check_path
from tfxfer.trust.gate_rules import Gate
from tfxfer_edge.door import IMAGE, find_door
from tfxfer_edge.handover.folder import check_folder
from tfxfer_edge.proof.arguments import check_arguments, is_run
from tfxfer_edge.proof.gate import ladder
from tfxfer_edge.proof.preference import PREFERENCES, check_preference
from tfxfer_edge.proof.rules import read_rules
from tfxfer_edge.proof.run_record import find_warnings
from tfxfer_edge.tflite.card import check_labels

__all__ = ["CheckedRequest", "check_request"]


@dataclass(frozen=True)
class CheckedRequest:
    """What is settled of an export before TensorFlow is loaded.

    Args:
        folder: to make.
        recipes: to try, in order.
        rules: of the gate; None where there is none.
        warnings: why the run's own result is worth nothing, where it is exported all the same.
        unrecorded: why `run.json` will not list the export; None where it will.
    """

    folder: Path
    recipes: tuple[str, ...]
    rules: Gate | None = None
    warnings: tuple[str, ...] = ()
    unrecorded: str | None = None


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
    registry: Registry | None = None,
) -> CheckedRequest:
    """Returns what is settled; the arguments are those of `tfxfer_edge.export`.

    Names of plugins are looked up in `registry`; None is that of all that is installed.

    Raises:
        UsageError: a word or a combination that cannot be meant, or something is missing.
        UnknownHeadError: nobody has a head of that name.
        DataError: there are no samples to calibrate with.
        ModelError: what is there is no finished training and no model, or has labels that no
            file can.
        RunError: no such model, the folder is taken, or another process writes to the run.
        StorageError: the folder cannot be made where it is to be.
        GateError: the run was warned of its own result.
    """
    ladder(recipes, automatic=())  # before anything is read: are these names?
    check_preference(prefer)
    path = model.path if isinstance(model, RunDirectory) else check_path(model, where="export")
    folder = _choose_folder(path, out, of_run=is_run(model))
    check_folder(folder, overwrite=overwrite)
    if isinstance(head, str):
        get_head(head, registry=registry)
    modality = RunDirectory(path).read_manifest().modality if is_run(model) else IMAGE
    names = ladder(recipes, automatic=find_door(modality).ladder, allow_float=allow_float)
    if calibration is not None:
        read_source(calibration, get_modality(modality, registry))
    of_run = check_arguments(
        model, calibration=calibration, labels=labels, head=head, preprocessing=preprocessing
    )
    rules = None
    if gate is not None:
        rules = read_rules(
            gate, model, calibration=calibration, labels=labels, head=head, registry=registry
        )
    warnings: tuple[str, ...] = ()
    if of_run and force:
        warnings = tuple(message for message, _ in find_warnings(RunDirectory(path)))
    elif of_run:
        _refuse_worthless(RunDirectory(path))
    if any(name != "onnx" for name in names):
        # As the metadata of every file would refuse them, minutes later.
        found, run = tuple(labels or ()), RunDirectory(path)
        if of_run and run.labels_path.is_file():  # what is missing is told by whoever opens it
            found = run.read_labels()
        check_labels(found, what=f"{'run' if of_run else 'model'} {str(path)!r}")
    unrecorded = _check_record(RunDirectory(path)) if of_run else None
    return CheckedRequest(folder, names, rules, warnings, unrecorded)


def _choose_folder(path: Path, out: str | Path | None, *, of_run: bool) -> Path:
    if out is not None:
        return check_path(out, where="export", name="out").resolve()
    if of_run:
        return RunDirectory(path).export
    raise UsageError(
        f"export of {str(path)!r}: expected a folder to make, for a model outside of a run: "
        "--out DIR. Received: none."
    )


def _check_record(run: RunDirectory) -> str | None:
    """Returns why a run cannot note an export that lies elsewhere; None where it can.

    Raises:
        RunError: another process writes to it.
    """
    try:
        with run.lock():
            return None
    except StorageError as error:
        return f"run.json will not list this export: {error}"


def _refuse_worthless(run: RunDirectory) -> None:
    warnings = find_warnings(run)
    if warnings:
        messages = "; ".join(message for message, _ in warnings)
        # Several warnings of one run mostly have the same cause, which is said once.
        causes = "; ".join(dict.fromkeys(cause for _, cause in warnings if cause))
        remedy = f"Likely: {causes}" if causes else "Train longer or on more samples"
        raise GateError(
            f"export of {str(run.path)!r}: expected a result that is worth exporting. "
            f"Received: {messages}. {remedy}. To export it all the same: --force"
        )
