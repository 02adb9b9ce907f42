"""Weights of any backbone in a file of this project's own: arrays by the names of its layers.

A plugin reads the files of whoever trained its network. This one is written by `tfxfer meta`, and
read by `build_model` before a plugin is asked.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import WeightsError
from tfxfer.system.archives import ARCHIVE_FAULTS
from tfxfer.system.files import atomic_write

__all__ = ["holds_backbone_weights", "read_backbone_weights", "write_backbone_weights"]

_NAME = "tfxfer_backbone"
_HEADER_BYTES = 4096  # numpy's, before an array; a name is shorter than that, too


def write_backbone_weights(path: str | Path, backbone: str, layers: Sequence[Any]) -> None:
    """Writes the weights of layers, in one step.

    Args:
        path: of the file.
        backbone: its name, which is stored.
        layers: of Keras, each with a name of its own.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    arrays = {
        f"{layer.name}/{number}": values
        for layer in layers
        for number, values in enumerate(layer.get_weights())
    }
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{_NAME: np.array(backbone)}, **arrays)  # type: ignore[arg-type]


def holds_backbone_weights(path: Path) -> bool:
    """Returns whether a file says that `write_backbone_weights` wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{_NAME}.npy" in archive.namelist()
    except ARCHIVE_FAULTS:
        return False


def read_backbone_weights(path: Path, backbone: str, layers: Sequence[Any]) -> None:
    """Reads weights into layers: all of them, or none.

    Args:
        path: of a file that `holds_backbone_weights`.
        backbone: whose layers they are.
        layers: of Keras.

    Raises:
        WeightsError: it cannot be read, is of another backbone, or has other arrays.
    """
    try:
        found = _read_arrays(path, backbone, layers)
    except ARCHIVE_FAULTS as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"weights of {backbone!r}: expected a file that `tfxfer meta` wrote. Received: "
            f"path={str(path)!r}, which cannot be read: {str(error)[:200]}. Write it again."
        ) from error
    for layer, values in zip(layers, found, strict=True):
        layer.set_weights(values)


def _read_arrays(path: Path, backbone: str, layers: Sequence[Any]) -> list[list[np.ndarray]]:
    """Returns the arrays of each layer, none of them larger than its place."""
    wanted = {
        f"{layer.name}/{number}": tuple(weight.shape)
        for layer in layers
        for number, weight in enumerate(layer.weights)
    }
    with zipfile.ZipFile(path) as archive:
        sizes = {x.filename.removesuffix(".npy"): x.file_size for x in archive.infolist()}
    most = {name: 8 * math.prod(shape) + _HEADER_BYTES for name, shape in wanted.items()}
    with np.load(path, allow_pickle=False) as stored:
        if sizes[_NAME] > _HEADER_BYTES or str(stored[_NAME]) != backbone:
            name = "another" if sizes[_NAME] > _HEADER_BYTES else repr(str(stored[_NAME])[:80])
            raise _refuse(path, backbone, f"those of {name}")
        differing = sorted({*sizes} - {_NAME} ^ {*wanted})
        if differing:
            raise _refuse(path, backbone, f"others, such as {differing[0][:80]!r}")
        large = next((name for name in wanted if sizes[name] > most[name]), None)
        if large is not None:
            raise _refuse(path, backbone, f"{sizes[large]:,} bytes as {large!r}")
        arrays = {name: stored[name] for name in wanted}
    for name, shape in wanted.items():
        values = arrays[name]
        if values.shape != shape:
            raise _refuse(path, backbone, f"shape {values.shape} of {name!r}")
        if not (np.issubdtype(values.dtype, np.number) and np.isfinite(values).all()):
            raise _refuse(path, backbone, f"no finite numbers as {name!r}")
    return [[arrays[f"{x.name}/{number}"] for number in range(len(x.weights))] for x in layers]


def _refuse(path: Path, backbone: str, received: str) -> WeightsError:
    return WeightsError(
        f"weights of {backbone!r}: expected finite arrays of this backbone. Received: {received} "
        f"in path={str(path)!r}. Name a file that was written for it."
    )
