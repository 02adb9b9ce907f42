"""Models on disk: a run, a `.keras` file, a legacy `.h5` file, or a SavedModel folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.inference.built_weights import bound_file
from tfxfer.inference.hdf5_file import HDF5_ENDINGS, check_holds_model
from tfxfer.inference.hdf5_model import load_hdf5_model
from tfxfer.inference.model_config import import_layers, read_keras_config
from tfxfer.saved_model import check_saved_model, is_saved_model

__all__ = ["read_model_file"]

_TRUST = "If you trust who made it: tfxfer export --trust (in Python: trust=True)."


def read_model_file(path: Path, *, trust: bool) -> Any:
    """Returns the model of a path.

    Args:
        path: of a run, a file or a folder.
        trust: whether code that comes with the model may run: a Lambda, or operations of a
            SavedModel that do more than compute.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    from tfxfer.inference.keras_model import load_model, read_keras_file

    if path.is_dir():
        if (path / "run.json").is_file():
            return load_model(path)
        if is_saved_model(path):
            if not trust:
                check_saved_model(path, remedy=_TRUST)
            return _read_saved_model(path)
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a SavedModel folder. "
            "Received: a folder with neither run.json nor saved_model.pb."
        )
    if path.is_file():
        check_holds_model(path)
    if path.suffix in HDF5_ENDINGS:
        return load_hdf5_model(path, trust=trust)
    if path.suffix == ".keras":
        if path.name == "model.keras" and (path.parent / "run.json").is_file():
            return load_model(path)
        return _read_trusted(path) if trust else read_keras_file(path)
    raise ModelError(
        f"model {str(path)!r}: expected a run directory, a .keras file, an .h5 file or a "
        f"SavedModel folder. Received: {'a file' if path.exists() else 'nothing there'}."
    )


def _read_trusted(path: Path) -> Any:
    import keras

    import_layers(read_keras_config(path), path=path, keras=keras)
    try:
        with bound_file(path, package=keras):
            return keras.models.load_model(path, compile=False, safe_mode=False)
    except ModelError:
        raise
    # Trusted code may raise anything at all.
    except Exception as error:
        raise ModelError(f"model {str(path)!r}: {_first_line(error)}") from error


def _read_saved_model(path: Path) -> Any:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    # A damaged folder fails in protobuf, the checkpoint reader or TensorFlow.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected a SavedModel. Received: {_first_line(error)}"
        ) from error
    loaded.tfxfer_source = path.name
    return loaded


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
