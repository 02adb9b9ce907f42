"""Cached activations that outlive their process: who goes on with a training takes them up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.data.arrays import Arrays
from tfxfer.errors import StorageError
from tfxfer.run.shelf_owner import OWNER_FILE, claim_shelf
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_document, read_record

__all__ = ["Shelf", "digest_arrays"]

_INDEX = "index.json"


@dataclass(frozen=True)
class _Entry:
    """Activations of the samples of one source at one stage.

    Args:
        key: of what they were computed by.
        source: `train` or `val`.
        stage: where they are cached; None is the model's inputs.
        parts: file, shape and dtype by the name of an input of what follows; one without a name is
            all there is.
        held: file of a bool array (samples, views): which of them were computed.
    """

    key: str
    source: str
    stage: str | None
    parts: dict[str, tuple[str, tuple[int, ...], str]]
    held: str


@dataclass(frozen=True)
class _Index:
    entries: tuple[_Entry, ...] = ()


class Shelf:
    """A folder of memory-mapped arrays, with an index that is true at any moment.

    Making one changes nothing on the disk: until the lock of its run is held, what lies there may
    be another process's.

    Args:
        folder: its own; it is made when something is put there.
        run: the run that it belongs to, which the folder then says; None belongs to nobody.
    """

    def __init__(self, folder: Path, *, run: Path | None = None) -> None:
        self.folder, self._run = folder, run
        self._entries: dict[tuple[str, str | None], _Entry] = {}
        self._read_index()

    def open(self) -> None:
        """Reads the index again, and removes what it does not name. The run's lock is held.

        Raises:
            StorageError: the folder cannot be written.
        """
        self._entries = {}
        self._read_index()
        self._sweep()
        if self.folder.is_dir():
            self._claim()

    def make(self) -> None:
        """Makes the folder, and says in it whose it is.

        Raises:
            OSError: it cannot be made.
        """
        is_new = not self.folder.is_dir()
        self.folder.mkdir(parents=True, exist_ok=True)
        if is_new:
            self._claim()

    def find(self, key: str, source: str, stage: str | None) -> tuple[Arrays, np.ndarray] | None:
        """Returns activations and which views of which samples they hold; None where none are.

        Args:
            key: of what computes them.
            source: `train` or `val`.
            stage: where they are cached.
        """
        entry = self._entries.get((source, stage))
        if entry is None or entry.key != key:
            return None
        try:
            held = np.load(self.folder / Path(entry.held).name, allow_pickle=False)
            arrays = {name: self._open(*part) for name, part in entry.parts.items()}
        except (OSError, ValueError, TypeError, EOFError):
            return None  # computed anew
        return (arrays[""] if [*arrays] == [""] else arrays), held

    def put(
        self, key: str, arrays: Mapping[tuple[str, str | None], tuple[Arrays, np.ndarray]]
    ) -> None:
        """Remembers what arrays hold by now; those that lie elsewhere are left out.

        Args:
            key: of what computed them.
            arrays: by source and stage, with which views of which samples they hold.

        Raises:
            StorageError: the disk is full.
        """
        try:
            self._put(key, arrays)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"cache of activations: expected room in {str(self.folder)!r}. Received: "
                f"{error.strerror}. Free some space or name another --cache-dir."
            ) from error

    def _put(
        self, key: str, arrays: Mapping[tuple[str, str | None], tuple[Arrays, np.ndarray]]
    ) -> None:
        for (source, stage), (found, held) in arrays.items():
            named = found if isinstance(found, dict) else {"": found}
            files = {name: getattr(values, "filename", None) for name, values in named.items()}
            if not all(file and Path(file).parent == self.folder for file in files.values()):
                continue
            for values in named.values():
                values.flush()  # type: ignore[attr-defined]
            mask = self.folder / f"{secrets.token_hex(8)}.npy"
            np.save(mask, held)
            parts = {
                name: (Path(str(files[name])).name, values.shape, values.dtype.str)
                for name, values in named.items()
            }
            self._entries[source, stage] = _Entry(key, source, stage, parts, mask.name)
        self._write_index()

    def keep_only(self, keys: Iterable[str]) -> None:
        """Removes what other networks than those of the keys have computed."""
        kept = set(keys)
        self._entries = {place: x for place, x in self._entries.items() if x.key in kept}
        self._sweep()

    def count_bytes(self) -> int:
        """Returns how much room the folder takes."""
        if not self.folder.is_dir():
            return 0
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def remove_if_empty(self) -> None:
        """Removes the folder where nothing lies in it but whose it is."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.folder.iterdir()] == [OWNER_FILE]:
                (self.folder / OWNER_FILE).unlink()
            self.folder.rmdir()

    def _claim(self) -> None:
        if self._run is not None:
            claim_shelf(self.folder, self._run)

    def clear(self) -> None:
        """Removes the folder."""
        self._entries = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, file: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        path = self.folder / Path(file).name
        size, found = np.dtype(dtype).itemsize * math.prod(shape), path.stat().st_size
        if size != found:  # numpy would fill it up with zeros
            raise ValueError(f"{size} bytes expected in {file!r}, {found} received")
        return np.memmap(path, dtype, "r+", shape=shape)

    def _read_index(self) -> None:
        path = self.folder / _INDEX
        if path.is_file():
            # A damaged index costs what it lists, and no more.
            with contextlib.suppress(StorageError):
                document = read_document(path, expected="an index", error=StorageError)
                index = read_record(_Index, document, where=str(path), error=StorageError)
                self._entries = {(entry.source, entry.stage): entry for entry in index.entries}

    def _write_index(self) -> None:
        index = _Index(tuple(self._entries.values()))
        with atomic_write(self.folder / _INDEX) as temporary:
            temporary.write_text(to_json(asdict(index)), encoding="utf-8")
        self._sweep(".npy")

    def _sweep(self, ending: str = "") -> None:
        """Removes files that nothing in the index names."""
        if not self.folder.is_dir():
            return
        named = {_INDEX, OWNER_FILE}
        for entry in self._entries.values():
            named |= {entry.held, *(file for file, _, _ in entry.parts.values())}
        for path in self.folder.iterdir():
            if path.name not in named and path.name.endswith(ending):
                with contextlib.suppress(OSError):
                    path.unlink()


def digest_arrays(arrays: Any, *words: object) -> str:
    """Returns the sha256 of arrays, in order, and of words."""
    digest = hashlib.sha256(json.dumps([str(word) for word in words]).encode())
    for values in arrays:
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
