"""A model in an HDF5 file, built by the Keras that wrote it, 2 or 3, and no code of its own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.errors import ModelError
from tfxfer.inference.built_weights import bound_file
from tfxfer.inference.hdf5_file import read_hdf5_model
from tfxfer.inference.model_config import check_config, import_layers

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["load_hdf5_model"]


def load_hdf5_model(path: Path, *, trust: bool = False, registry: Registry | None = None) -> Any:
    """Returns the model in an `.h5` file, of Keras 3 or of `tf_keras`.

    Args:
        path: of the file.
        trust: whether code that comes with it (a Lambda) may run.
        registry: where the plugins of its layers are looked up; None is what is installed.

    Raises:
        ModelError: it holds no model, code, or a layer that nothing installed has; or Keras 2 wrote
            it and `tf-keras` is not installed.
    """
    # By content: Keras 2 and Keras 3 give their files one ending, and cannot read each other's.
    found = read_hdf5_model(path)
    package = _import_tf_keras(path) if found.is_legacy else _import_keras()
    admit = import_layers if trust else check_config
    admit(found.config, path=path, keras=package, registry=registry)
    # `tf-keras` has no safe mode to be left.
    options = {"safe_mode": False} if trust and not found.is_legacy else {}
    try:
        with bound_file(path, package=package):
            return package.models.load_model(path, compile=False, **options)
    except ModelError:
        raise
    # A damaged file fails in h5py, json or Keras, each with errors of its own, and trusted code may
    # raise anything at all.
    except Exception as error:
        reader = "tf-keras" if found.is_legacy else "Keras"
        text = str(error).strip() or type(error).__name__
        raise ModelError(
            f"model {str(path)!r}: expected an .h5 file that {reader} reads. "
            f"Received: {text.splitlines()[0]}"
        ) from error


def _import_keras() -> Any:
    import keras

    return keras


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
