"""A model and samples that a command was given: checked at once, opened when all is well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.backbone import Backbone
from tfxfer.cli.options import read_labels
from tfxfer.cli.output import Output
from tfxfer.errors import DataError, ModelError, RunError, StorageError, TfxferError
from tfxfer.head import Head
from tfxfer.inference.hdf5_file import check_holds_model
from tfxfer.modality import Modality
from tfxfer.registry.lookup import get_head
from tfxfer.run.assets import read_run_contract
from tfxfer.run.directory import RunDirectory
from tfxfer.saved_model import DESCRIPTION, READER, is_saved_model
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.system.records import read_document

if TYPE_CHECKING:
    from tfxfer.inference.labelling import Labelled
    from tfxfer.inference.predictor import Predictor

__all__ = [
    "check_table",
    "find_head",
    "find_model",
    "find_run",
    "open_predictor",
    "refuse_unreadable",
]

_NEEDS_KERAS = (".keras", ".h5", ".hdf5")


def find_model(output: Output, model: str) -> tuple[str, Modality]:
    """Returns the model that a word means, and what it reads; imports neither Keras nor TensorFlow.

    Args:
        output: of the command.
        model: a run, a model file, or the folder of an export, which means its chosen file.

    Raises:
        ModelError: nothing there, or a run that is not finished.
        RunError: a folder that is none of these, or whose files cannot be read.
    """
    path, registry = Path(model), output.registry
    if (path / "export.json").is_file():
        path = _find_exported(path)
    if path.name == DESCRIPTION and path.is_file():
        path = path.parent
    if path.is_dir() or path.suffix in _NEEDS_KERAS:
        check_keras_settings()
    run = path.parent if path.name == "model.keras" else path
    if (run / "run.json").is_file():
        manifest = RunDirectory.open(run).read_manifest()
        if manifest.status != "done" and not (run / "model.keras").is_file():
            raise ModelError(
                f"run {str(run)!r}: expected a finished training. Received: "
                f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {run}"
            )
        return str(path), registry.load_modality(manifest.modality)
    if path.is_dir() and not is_saved_model(path):
        RunDirectory.open(path)  # says what is missing
    if not path.exists():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a .keras file. "
            "Received: nothing there."
        )
    if path.is_file():
        check_holds_model(path)
    name = READER if path.is_dir() else path.suffix.lower()[1:]
    readers = {component.name for component in registry.list("reader")}
    if path.suffix.lower() not in _NEEDS_KERAS and name not in readers:
        from tfxfer.inference.loading import describe_unreadable

        raise ModelError(describe_unreadable(path, name))
    # Most model files say nothing of it: what backbones read that say nothing of it, either.
    told = None
    if path.is_file() and name in readers:
        tell = getattr(registry.load_reader(name), "read_modality", None)
        told = None if tell is None else tell(path)
    return str(path), registry.load_modality(told or Backbone.modality)


def find_run(model: str) -> RunDirectory | None:
    """Returns the run that a model is, or whose `model.keras` it is; None for any other file.

    Args:
        model: as `find_model` returned it.
    """
    path = Path(model)
    folder = path.parent if path.name == "model.keras" else path
    return RunDirectory.open(folder) if (folder / "run.json").is_file() else None


def find_head(output: Output, model: str) -> Head | None:
    """Returns the head of a run; None where only the opened model tells it.

    Args:
        output: of the command.
        model: as `find_model` returned it.
    """
    run = find_run(model)
    if run is None:
        return None
    manifest = run.read_manifest()
    return get_head(manifest.head, options=dict(manifest.head_options), registry=output.registry)


def refuse_unreadable(
    output: Output, model: str, found: Sequence[Labelled], modality: Modality
) -> None:
    """Refuses samples of which none can be read: why, a line each; imports no TensorFlow.

    Args:
        output: of the command.
        model: as `find_model` returned it.
        found: the samples that the command was given.
        modality: reads a sample.

    Raises:
        DataError: none of them can be read.
        RunError: a run's manifest cannot be read.
    """
    from tfxfer.inference.labelling import check_samples

    checked, described = list(found), _find_input(model, modality)
    if described is not None:
        size, contract = described
        with output.progress() as progress:
            checked = check_samples(
                checked, modality, size=size, contract=contract, progress=progress
            )
    faults = [item.error for item in checked if item.error is not None]
    if len(faults) < len(checked):
        return
    if len(faults) == 1:
        raise faults[0]
    for fault in faults:
        output.warn(str(fault))
    raise DataError(
        f"{modality.plural}: expected at least one that can be read. "
        f"Received: none among {len(faults)}."
    )


def _find_input(model: str, modality: Modality) -> tuple[int, Any] | None:
    """Returns size and contract of a model's inputs; None where loading the model tells them."""
    run = find_run(model)
    if run is None:
        # Of a file only the opened model tells; whether an image can be read shows at any size.
        is_usual = modality.name == Backbone.modality
        return (Backbone.default_image_size, Backbone.preprocessing) if is_usual else None
    manifest = run.read_manifest()
    if manifest.size is None or manifest.preprocessing is None:
        return None
    try:
        return manifest.size, read_run_contract(run, modality)
    except TfxferError:  # which loading says
        return None


def _find_exported(folder: Path) -> Path:
    document = read_document(
        folder / "export.json", expected="the JSON of an export", error=RunError
    )
    try:
        chosen = document["chosen"]
        name = next(
            Path(item["path"]).name for item in document["candidates"] if item["recipe"] == chosen
        )
    except (KeyError, TypeError, StopIteration) as error:
        raise RunError(
            f"export {str(folder)!r}: expected an export.json that names the chosen file. "
            f"Received: {type(error).__name__}: {error}. Name the file itself."
        ) from error
    return folder / name  # a folder that was moved is as good


def check_table(path: str | None, option: str, *, overwrite: bool, inputs: tuple[str, ...]) -> None:
    """Refuses a place where a file cannot be written, before the work that fills it.

    Args:
        path: where it is to go; None is nowhere.
        option: that named it, for messages.
        overwrite: whether a file may be replaced.
        inputs: what the command reads, which is never replaced.

    Raises:
        DataError: it is one of the inputs.
        StorageError: it is there already, or its folder is not.
    """
    if path is None:
        return
    target = Path(path)
    if any(target.resolve() == Path(name).resolve() for name in inputs):
        raise DataError(f"{option} {path!r}: expected another file than what is read.")
    if target.is_dir() or not target.absolute().parent.is_dir():
        what = "a folder" if target.is_dir() else "no such folder to put it in"
        raise StorageError(f"{option} {path!r}: expected a file to write. Received: {what}.")
    if target.exists() and not overwrite:
        raise StorageError(
            f"{option} {path!r}: expected a new file. Received: one that is there. "
            "To replace it: --overwrite"
        )


def open_predictor(
    output: Output,
    model: str,
    *,
    labels_file: str | None,
    head: str | None,
    preprocessing: Any = None,
) -> Predictor:
    """Returns what scores samples, and keeps TensorFlow, where that takes it, from greeting."""
    from tfxfer.inference.loading import load_predictor

    labels, registry = read_labels(labels_file), output.registry
    named = None if head is None else get_head(head, registry=registry)
    what = f"loading {model}"
    if Path(model).is_dir() or Path(model).suffix in _NEEDS_KERAS:
        what = f"importing TensorFlow, loading {model}"
    with output.starting(what):
        predictor = load_predictor(
            model, labels=labels, head=named, preprocessing=preprocessing, registry=registry
        )
    for remark in predictor.remarks:
        output.warn(remark)
    return predictor
