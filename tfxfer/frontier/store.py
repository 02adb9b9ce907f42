"""Where cached activations live: memory while they are few, then files that are removed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfxfer.errors import StorageError
from tfxfer.frontier.shelf import Shelf
from tfxfer.system.scratch import make_scratch_folder

__all__ = ["CacheStore"]

_MEMORY_SHARE = 0.15  # of what the machine has free, at most _MEMORY_CAP_BYTES
_MEMORY_CAP_BYTES = 2**30
_DISK_SHARE = 0.5  # of what the disk has free


@dataclass(eq=False)
class CacheStore:
    """Where cached activations live: memory while they are few, then files that are removed.

    Who is given a store and needs room for a while takes a `scope` of it, and closes that.

    Args:
        folder: parent of the files; None is the system's place for temporary files.
        memory_bytes: how much may stay in memory; None is 15 % of what is free, at most 1 GiB.
        disk_bytes: how much may go to disk; None is half of what is free.
        shelf: where all goes that the disk has room for, and stays when the store is closed, so
            that a later process finds it; None keeps nothing.
    """

    folder: Path | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    shelf: Shelf | None = None
    _used_memory: int = field(default=0, repr=False)
    _used_disk: int = field(default=0, repr=False)
    _directory: Path | None = field(default=None, repr=False)
    _outer: CacheStore | None = field(default=None, repr=False)
    _scopes: list[CacheStore] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scope(self) -> CacheStore:
        """Returns a store that keeps within the limits of this one, together with it.

        Closing it frees what it allocated and nothing else; closing this one closes it, too.

        Example:
            >>> with CacheStore(memory_bytes=100) as store, store.scope() as part:
            ...     _ = part.allocate((60,), "uint8")
            ...     store._used_memory
            60
        """
        return CacheStore(self.folder, self.memory_bytes, self.disk_bytes, self.shelf, _outer=self)

    @property
    def parent(self) -> Path:
        """The folder that would hold the files."""
        if self.shelf is not None:
            return self.shelf.folder
        return self.folder or Path(tempfile.gettempdir())

    def memory_limit(self) -> int:
        """Returns how many bytes may stay in memory."""
        if self.memory_bytes is not None:
            return self.memory_bytes
        import psutil

        return min(_MEMORY_CAP_BYTES, int(psutil.virtual_memory().available * _MEMORY_SHARE))

    def disk_limit(self) -> int:
        """Returns how many bytes may go to disk."""
        if self.disk_bytes is not None:
            return self.disk_bytes
        existing = next(path for path in (self.parent, *self.parent.parents) if path.exists())
        # What is taken already is no longer free, but belongs to the same limit, also where an
        # earlier process of the run took it.
        taken = self._whole()._used_disk
        if self.shelf is not None:
            taken = max(taken, self.shelf.count_bytes())
        return int((shutil.disk_usage(existing).free + taken) * _DISK_SHARE)

    def place(self, size_bytes: int) -> str:
        """Returns `memory`, `disk`, or `nowhere` for that many more bytes."""
        whole = self._whole()
        fits = {
            "memory": lambda: whole._used_memory + size_bytes <= self.memory_limit(),
            "disk": lambda: whole._used_disk + size_bytes <= self.disk_limit(),
        }
        order = ("memory", "disk") if self.shelf is None else ("disk", "memory")
        return next((name for name in order if fits[name]()), "nowhere")

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Returns an uninitialised array, memory-mapped when it is large.

        Raises:
            StorageError: it fits neither in memory nor on the disk.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        where = self.place(size)
        if where == "memory":
            self._count(memory=size)
            return np.empty(shape, dtype)
        if where == "nowhere":
            raise StorageError(
                f"cache of activations: expected at most {self.disk_limit() / 2**20:.0f} MiB in "
                f"{self.parent}. Received: {size / 2**20:.0f} MiB. Use fewer views, a later stage, "
                "a folder on a larger disk (--cache-dir), or --no-cache."
            )
        self._count(disk=size)
        try:
            if self.shelf is not None:
                self.shelf.make()
                path = self.shelf.folder / f"{secrets.token_hex(8)}.bin"
            else:
                self.parent.mkdir(parents=True, exist_ok=True)
                path = self._make_directory() / f"{secrets.token_hex(8)}.bin"
            _reserve(path, size)
        except OSError as error:
            if self.shelf is not None:
                self.shelf.remove_if_empty()
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"cache of activations: expected {size / 2**20:.0f} MiB in {self.parent}. "
                f"Received: {error.strerror}. Free some space or name another --cache-dir."
            ) from error
        return np.memmap(path, dtype, "r+", shape=shape)

    def _make_directory(self) -> Path:
        if self._directory is None:
            self._directory = make_scratch_folder("cache", parent=self.folder)
        return self._directory

    def close(self) -> None:
        """Removes the files; arrays from `allocate`, and from its scopes, are invalid after.

        Those on a shelf stay.
        """
        for part in tuple(self._scopes):
            part.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self._count(memory=-self._used_memory, disk=-self._used_disk)
        if self._outer is not None and self in self._outer._scopes:
            self._outer._scopes.remove(self)

    def _whole(self) -> CacheStore:
        """Returns the outermost store, which counts what all of its scopes use."""
        return self if self._outer is None else self._outer._whole()

    def _count(self, *, memory: int = 0, disk: int = 0) -> None:
        self._used_memory += memory
        self._used_disk += disk
        if self._outer is not None:
            if self not in self._outer._scopes:
                self._outer._scopes.append(self)
            self._outer._count(memory=memory, disk=disk)


def _reserve(path: Path, size_bytes: int) -> None:
    # Reserved now: a full disk under a memory map is a bus error, not an exception.
    try:
        _write_blank(path, size_bytes)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _write_blank(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return
        # macOS and Windows have no such call: what was written is there.
        block = bytes(2**20)
        for start in range(0, size_bytes, len(block)):
            file.write(block[: size_bytes - start])
