"""Whether an export can be done as it was asked for: nothing here loads TensorFlow or Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfxfer.data.sources import read_source
from tfxfer.errors import DataError, GateError, RunError, StorageError, UsageError
from tfxfer.modality import Modality
from tfxfer.registry.lookup import Registry, get_head, get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.system.arguments import check_path
from tfxfer.system.files import check_writable
from tfxfer.trust.gate_rules import Gate
from tfxfer_edge.conversion.end_types import check_type, keep_allowed
from tfxfer_edge.conversion.recipes import Recipe, get_recipe
from tfxfer_edge.door import IMAGE, find_door
from tfxfer_edge.handover.folder import check_folder
from tfxfer_edge.proof.arguments import check_arguments, is_run
from tfxfer_edge.proof.plain_samples import is_plain, list_plain
from tfxfer_edge.proof.preference import PREFERENCES, check_preference
from tfxfer_edge.proof.recipe_list import check_micro, list_recipes, split_recipes
from tfxfer_edge.proof.rules import read_rules
from tfxfer_edge.proof.run_record import find_warnings
from tfxfer_edge.tflite.card import check_labels

__all__ = ["CheckedRequest", "check_conversion", "check_request"]


@dataclass(frozen=True)
class CheckedRequest:
    """What is settled of an export before TensorFlow is loaded.

    Args:
        folder: to make.
        recipes: names of those to try, in order.
        rules: of the gate; None where there is none.
        warnings: why the run's own result is worth nothing, where it is exported all the same.
        unrecorded: why `run.json` will not list the export; None where it will.
        own: of the recipes those that are not built in, by name.
    """

    folder: Path
    recipes: tuple[str, ...]
    rules: Gate | None = None
    warnings: tuple[str, ...] = ()
    unrecorded: str | None = None
    own: Mapping[str, Recipe] = field(default_factory=dict)


def check_request(
    model: str | Path | RunDirectory,
    out: str | Path | None = None,
    *,
    recipes: Sequence[str | Recipe] = ("auto",),
    io: str | None = None,
    prefer: str = PREFERENCES[0],
    allow_float: bool = False,
    calibration: str | Path | None = None,
    labels: Sequence[str] | None = None,
    head: Any = None,
    preprocessing: Any = None,
    overwrite: bool = False,
    force: bool = False,
    gate: str | Path | None = None,
    micro: bool = False,
    dynamic_batch: bool = False,
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
    named, own = split_recipes(recipes)  # before anything is read: are these names?
    check_preference(prefer)
    path = model.path if isinstance(model, RunDirectory) else check_path(model, where="export")
    folder = _choose_folder(path, out, of_run=is_run(model))
    check_folder(folder, overwrite=overwrite)
    if isinstance(head, str):
        get_head(head, registry=registry)
    modality = RunDirectory(path).read_manifest().modality if is_run(model) else IMAGE
    automatic = find_door(modality).ladder
    names = list_recipes(named, own, automatic=automatic, allow_float=allow_float, io=io)
    if micro:
        check_micro(names, modality=modality, dynamic_batch=dynamic_batch)
    if calibration is not None:
        _check_calibration(model, calibration, get_modality(modality, registry))
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
    return CheckedRequest(folder, names, rules, warnings, unrecorded, own)


def _check_calibration(
    model: str | Path | RunDirectory, calibration: str | Path, modality: Modality
) -> None:
    """Refuses calibration without samples, and such without labels where it has to judge, too."""
    if is_run(model):
        run = RunDirectory(model.path if isinstance(model, RunDirectory) else model)
        if is_plain(calibration, modality, run.read_manifest().labels):
            list_plain(calibration, modality)
            return
    elif is_plain(calibration, modality):
        raise DataError(
            f"--calibration {str(calibration)!r}: expected labelled {modality.plural}, class "
            "folders or a table, which judge the files, too. Received: a folder without class "
            "folders. Without labels and without a gate: tfxfer convert"
        )
    read_source(calibration, modality)


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


def check_conversion(
    model: str | Path | RunDirectory,
    out: str | Path,
    *,
    recipes: Sequence[str | Recipe],
    io: str | None = None,
    calibration: str | Path | None = None,
    labels: Sequence[str] | None = None,
    head: Any = None,
    preprocessing: Any = None,
    overwrite: bool = False,
) -> tuple[tuple[Recipe, ...], tuple[Path, ...]]:
    """Returns the recipes and the files to be, before TensorFlow is loaded.

    The arguments are those of `tfxfer_edge.convert_files`.

    Raises:
        UsageError: a recipe that nobody has, or what a recipe needs is missing.
        RunError: no such model, or a file that is there already.
        DataError: there are no samples to calibrate with.
        ModelError: what is there is no finished training and no model.
        StorageError: nothing can be written there.
    """
    names, own = split_recipes(recipes)
    if "auto" in names:
        raise UsageError(
            "convert: expected names of recipes: without labels nothing can be chosen. "
            f"Received: {', '.join(names)}. With labels: tfxfer export"
        )
    check_type(io, where="convert")
    tried = [own.get(name) or get_recipe(name) for name in dict.fromkeys(names)]
    found = keep_allowed(tried, io, named=True)
    path = model.path if isinstance(model, RunDirectory) else check_path(model, where="convert")
    out = check_path(out, where="convert", name="out")
    of_run = is_run(model)
    if of_run and not all(value is None for value in (labels, head, preprocessing)):
        raise UsageError(
            f"run {str(path)!r}: expected nothing that a run knows itself. Received: labels, head "
            "or preprocessing. Leave that out."
        )
    modality = RunDirectory(path).read_manifest().modality if of_run else IMAGE
    needy = [recipe.name for recipe in found if recipe.needs_calibration]
    if calibration is not None:
        list_plain(calibration, get_modality(modality))
    elif needy and not of_run:
        raise UsageError(
            f"recipe {needy[0]!r}: expected real images, which find the ranges, with or without "
            "labels: --calibration FOLDER. Received: none. About 100 that look as those of the "
            "application are enough."
        )
    if isinstance(head, str):
        get_head(head)
    if head is not None and not labels:
        raise UsageError(
            f"model {str(path)!r}: expected labels with a head, which says what they mean: "
            f"--labels labels.txt. Received: head={head!r} alone. Or leave --head out."
        )
    # A folder's name may have a dot, and be `.` itself.
    stem = path.resolve().name if path.is_dir() else path.stem
    targets = tuple(
        out / f"{stem}_{recipe.name}{'.onnx' if recipe.kind == 'onnx' else '.tflite'}"
        for recipe in found
    )
    taken = [str(target) for target in targets if target.exists()]
    if taken and not overwrite:
        raise RunError(
            f"convert: expected no file of that name. Received: {taken[0]!r} is there. "
            "Replace it: --overwrite"
        )
    if out.exists() and not out.is_dir():
        raise RunError(f"convert: expected a folder for the files. Received: {str(out)!r}, a file.")
    check_writable(out)
    return found, targets
