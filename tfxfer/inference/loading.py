"""A run or a model file → a predictor, through Keras or a reader of a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError, UnknownPluginError, UsageError
from tfxfer.head import Head
from tfxfer.inference.hdf5_file import HDF5_ENDINGS, check_holds_model
from tfxfer.inference.predictor import Predictor
from tfxfer.inference.provenance import read_keras_provenance, read_run_provenance
from tfxfer.registry.lookup import get_reader
from tfxfer.registry.signature import takes_keyword
from tfxfer.registry.suggestion import suggest_distribution
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import describe_unsealed
from tfxfer.saved_model import DESCRIPTION, READER, is_saved_model
from tfxfer.system.arguments import check_path
from tfxfer.system.keras_settings import check_keras_settings

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["describe_unreadable", "load_predictor"]

_OF_KERAS = (".keras", *HDF5_ENDINGS)


def load_predictor(
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    head: Head | None = None,
    preprocessing: Any = None,
    registry: Registry | None = None,
) -> Predictor:
    """Returns what scores samples, from a run directory or a model file.

    Keras is loaded where it is needed: for a run, a `.keras` and an `.h5` file.

    Args:
        path: a run, a `.keras` file, an `.h5` file of Keras 2 or 3, or what an installed reader
            takes: with tfxfer-edge a `.tflite` or `.onnx` file, or the folder of a SavedModel.
        labels: for a file outside a run: names of its outputs, in order.
        head: for a file outside a run; None is the default head.
        preprocessing: for a file of a reader that does not say it: a `Preprocessing`, what pixels
            go through before it, or `in_graph`.
        registry: where plugins are looked up; None is what is installed.

    Raises:
        UsageError: what a run knows itself, or a preprocessing for a model of Keras.
        ModelError: not such a file, or labels that do not match the outputs.
        RunError: a folder that is no run, or whose files are not what its training wrote.
        PluginError: the reader cannot be loaded.
        SetupError: another project's settings make Keras another one.
    """
    path = check_path(path, where="model")
    if path.name == DESCRIPTION and path.is_file():
        path = path.parent  # whoever names the description means what it describes
    if path.is_file():
        check_holds_model(path)
    options = {"labels": labels, "head": head, "preprocessing": preprocessing}
    if is_saved_model(path):
        return _read(READER, path, options, registry)
    of_run = path.is_dir() or (
        path.name == "model.keras" and (path.parent / "run.json").is_file() and labels is None
    )
    if of_run and (labels is not None or head is not None):
        raise UsageError(
            f"model {str(path)!r}: expected no labels and no head, which a run knows itself. "
            "Leave --labels and --head out."
        )
    if not of_run and not path.exists():
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a .keras file. "
            "Received: nothing there."
        )
    if not of_run and path.suffix not in _OF_KERAS:
        return _read(path.suffix[1:], path, options, registry)
    if preprocessing is not None:
        raise UsageError(
            f"model {str(path)!r}: expected no preprocessing, for Keras's models get pixels 0..255 "
            "as they are and rescale them themselves. Leave --preprocessing out."
        )
    check_keras_settings()
    from tfxfer.inference.keras_model import load_keras_predictor, load_model, wrap_model

    if of_run:
        predictor = wrap_model(load_model(path, registry=registry))
        run = RunDirectory.open(path if path.is_dir() else path.parent)
        remark = describe_unsealed(run, run.read_manifest())
        return replace(
            predictor,
            provenance=read_run_provenance(run),
            remarks=(*predictor.remarks, *([remark] if remark else [])),
        )
    predictor = load_keras_predictor(path, labels=labels, head=head, registry=registry)
    if path.suffix in HDF5_ENDINGS:
        return predictor  # only a `.keras` file has room for what it was trained on
    return replace(predictor, provenance=read_keras_provenance(path))


def _read(reader: str, path: Path, options: dict[str, Any], registry: Registry | None) -> Predictor:
    """Returns what a plugin's reader makes of a file or a folder.

    Raises:
        ModelError: nothing installed reads it.
        UsageError: its reader takes no preprocessing.
    """
    try:
        read = get_reader(reader, registry=registry)
    except UnknownPluginError as error:
        raise ModelError(describe_unreadable(path, reader)) from error
    # Not every reader of a plugin takes it.
    if options["preprocessing"] is None:
        del options["preprocessing"]
    elif not takes_keyword(read, "preprocessing"):
        raise UsageError(
            f"model {str(path)!r}: expected no preprocessing, which the reader of {reader!r} does "
            "not take. Leave --preprocessing out."
        )
    found: Predictor = read(path, **options)
    return found


def describe_unreadable(path: Path, reader: str) -> str:
    """Returns the message about a model that nothing installed reads, and what would.

    Args:
        path: of the model.
        reader: the name that a reader of it would have: its ending without the dot, of a
            SavedModel `saved_model`.
    """
    brings = suggest_distribution("reader", reader)
    received = "a SavedModel folder" if reader == READER else f"suffix={path.suffix!r}"
    hint = f" Try: pip install {brings}" if brings else ""
    return (
        f"model {str(path)!r}: expected a run directory or a .keras file. Received: "
        f"{received}.{hint}"
    )
