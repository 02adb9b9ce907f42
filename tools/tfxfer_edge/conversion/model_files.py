"""Models on disk: a run, a `.keras` file, a legacy `.h5` file, or a SavedModel folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.inference.hdf5_file import (
    HDF5_ENDINGS,
    WEIGHTS_ENDINGS,
    read_hdf5_model,
    refuse_weights,
)
from tfxfer.inference.model_config import check_config
from tfxfer.saved_model import check_saved_model

__all__ = ["read_model_file"]

_TRUST = "If you trust who made it: --trust (in Python: trust=True)."


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
        if (path / "saved_model.pb").is_file():
            if not trust:
                check_saved_model(path, remedy=_TRUST)
            return _read_saved_model(path)
        raise ModelError(
            f"model {str(path)!r}: expected a run directory or a SavedModel folder. "
            "Received: a folder with neither run.json nor saved_model.pb."
        )
    if path.is_file() and path.name.endswith(WEIGHTS_ENDINGS):
        refuse_weights(path)
    if path.suffix in HDF5_ENDINGS:
        return _read_hdf5(path, trust=trust)
    if path.suffix == ".keras":
        if path.name == "model.keras" and (path.parent / "run.json").is_file():
            return load_model(path)
        return _read_trusted(path) if trust else read_keras_file(path)
    raise ModelError(
        f"model {str(path)!r}: expected a run directory, a .keras file, an .h5 file or a "
        f"SavedModel folder. Received: {'a file' if path.exists() else 'nothing there'}."
    )


def _read_hdf5(path: Path, *, trust: bool) -> Any:
    # By content: Keras 2 and Keras 3 give their files one ending, and cannot read each other's.
    found = read_hdf5_model(path)
    package: Any
    if found.is_legacy:
        package = _import_tf_keras(path)
    else:
        import keras

        package = keras
    if not trust:
        check_config(found.config, path=path, keras=package)
    if not found.is_legacy:
        return _read_trusted(path) if trust else _read_checked(path)
    return _read_legacy(path, package)


def _read_checked(path: Path) -> Any:
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    # A damaged file fails in h5py, json or Keras, each with errors of its own.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected an .h5 file that Keras reads. "
            f"Received: {_first_line(error)}"
        ) from error


def _read_trusted(path: Path) -> Any:
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=False)
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


def _import_tf_keras(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TensorFlow's own deprecated modules
            import tf_keras
    except ImportError as error:
        raise ModelError(
            f"model {str(path)!r}: expected tf-keras, which reads legacy .h5 files. "
            "Received: it is not installed. Install it: pip install 'tfxfer-edge[legacy]'"
        ) from error
    return tf_keras


def _read_legacy(path: Path, tf_keras: Any) -> Any:
    try:
        return tf_keras.models.load_model(path, compile=False)
    # A damaged file fails in h5py, json or tf_keras, each with errors of its own.
    except Exception as error:
        raise ModelError(
            f"model {str(path)!r}: expected an .h5 file that tf-keras reads. "
            f"Received: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
