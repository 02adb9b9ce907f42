"""What an HDF5 file of Keras holds, read with h5py alone: a model of which Keras, or weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfxfer.errors import ModelError
from tfxfer.system.hdf5_content import check_hdf5_content

__all__ = ["HDF5_ENDINGS", "HDF5Model", "check_holds_model", "read_hdf5_model"]

HDF5_ENDINGS = (".h5", ".hdf5")
# Of files that hold arrays and no layers.
_WEIGHTS_ENDINGS = (".weights.h5", ".npz", ".safetensors", ".pth", ".pt", ".ckpt")


@dataclass(frozen=True)
class HDF5Model:
    """A model file, not built yet.

    Args:
        config: class names and arguments of its layers.
        keras_version: of the Keras that wrote it; empty where it does not say.
    """

    config: dict[str, Any]
    keras_version: str

    @property
    def is_legacy(self) -> bool:
        """Whether Keras 2 wrote it, which `tf-keras` reads and Keras 3 does not."""
        major = self.keras_version.partition(".")[0]
        return not (major.isdecimal() and int(major) >= 3)


def read_hdf5_model(path: Path) -> HDF5Model:
    """Returns what a file says of its model.

    Raises:
        ModelError: it is no HDF5 file, or holds weights alone.
    """
    import h5py  # type: ignore[import-untyped]

    if not path.is_file():
        raise ModelError(f"model {str(path)!r}: expected an .h5 file. Received: nothing there.")
    try:
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
            # Weights files say it of their groups, if at all.
            if config is None:
                _refuse_weights(path)
            check_hdf5_content(
                file,
                stored_bytes=path.stat().st_size,
                refuse=lambda expected, received: ModelError(
                    f"model {str(path)!r}: expected {expected}. Received: {received}. Save the "
                    "model anew: model.save('model.keras')"
                ),
            )
        parsed = json.loads(_to_text(config))
    except ModelError:
        raise
    # A damaged file fails in h5py or json, each with errors of its own.
    except (OSError, RuntimeError, KeyError, ValueError, RecursionError) as error:
        raise ModelError(
            f"model {str(path)!r}: expected an .h5 file that Keras saved. "
            f"Received: {' '.join(str(error).split())[:200]}"
        ) from error
    if not isinstance(parsed, dict):
        raise ModelError(
            f"model {str(path)!r}: expected a config of layers. Received: {type(parsed).__name__}."
        )
    return HDF5Model(parsed, _to_text(version))


def check_holds_model(path: Path) -> None:
    """Refuses a file whose name says that it holds weights alone.

    Raises:
        ModelError: says what is missing, and how to get a model.
    """
    if path.name.endswith(_WEIGHTS_ENDINGS):
        _refuse_weights(path)


def _refuse_weights(path: Path) -> None:
    """Refuses a file of weights where a model is needed.

    Raises:
        ModelError: says what is missing, and how to get a model.
    """
    raise ModelError(
        f"model {str(path)!r}: expected a model, layers and weights together. Received: weights "
        "alone, without the layers that they belong to. Build the model in Python, read them with "
        "model.load_weights, and save it whole with model.save('model.keras'). To train on "
        "them: tfxfer train … --weights PATH"
    )


def _to_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
