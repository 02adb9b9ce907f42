"""Activations cached at the freeze boundary.

Everything before the boundary is a constant function of the image, so it is computed once; each
phase then fits only what follows, on cached arrays, sharing the layers of the full model.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfxfer.errors import ModelError, StorageError
from tfxfer.feed import PixelSource
from tfxfer.litert import InterpreterPool, KerasRunner, keep_outputs, make_runner
from tfxfer.model import stage_tensor
from tfxfer.progress import Progress

__all__ = [
    "CacheStore",
    "Conversion",
    "cache_bytes",
    "fill_frontiers",
    "make_suffix",
    "stage_shape",
]

_FLOAT16_SAFE = 2.0**15  # half of float16's largest number
_MEMORY_SHARE = 0.15  # of what the machine has free, at most _MEMORY_CAP_BYTES
_MEMORY_CAP_BYTES = 2**30
_DISK_SHARE = 0.5  # of what the disk has free


def stage_shape(model: Any, stage: str | None) -> tuple[int, ...]:
    """Returns the shape of one image's activations at the end of a stage."""
    return tuple(int(side) for side in stage_tensor(model, stage).shape[1:])


def cache_bytes(
    model: Any,
    stages: Sequence[str | None],
    *,
    images: int,
    views: int,
    itemsize: int = 2,
    pixel_itemsize: int = 1,
) -> int:
    """Returns what caching these stages takes; pixels (None) are stored as they come."""
    total = 0
    for stage in stages:
        size = pixel_itemsize if stage is None else itemsize
        total += images * views * size * int(np.prod(stage_shape(model, stage)))
    return total


def make_suffix(model: Any, stage: str | None) -> Any:
    """Returns the part of the model after a stage, sharing its layers and weights.

    Shapes: maps activations (batch, …) at the end of the stage to the model's outputs.

    Raises:
        ModelError: the stage's end is not the only tensor that crosses the boundary.
    """
    import keras

    if stage is None:
        return model
    try:
        suffix = keras.Model(stage_tensor(model, stage), model.outputs, name=f"after_{stage}")
    except ValueError as error:
        raise ModelError(
            f"model {model.name!r}: expected stage {stage!r} to end at the only tensor that what "
            "follows needs. Received: a graph in which another one crosses. Let the stage end "
            "after the addition."
        ) from error
    return suffix


@dataclass
class CacheStore:
    """Where cached activations live: memory while they are few, then files that are removed.

    Args:
        folder: parent of the files; None is the system's place for temporary files.
        memory_bytes: how much may stay in memory; None is 15 % of what is free, at most 1 GiB.
        disk_bytes: how much may go to disk; None is half of what is free.
    """

    folder: Path | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    _used_memory: int = field(default=0, repr=False)
    _used_disk: int = field(default=0, repr=False)
    _directory: Path | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def parent(self) -> Path:
        """The folder that would hold the files."""
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
        # What is taken already is no longer free, but belongs to the same limit.
        return int((shutil.disk_usage(existing).free + self._used_disk) * _DISK_SHARE)

    def place(self, size_bytes: int) -> str:
        """Returns `memory`, `disk`, or `nowhere` for that many more bytes."""
        if self._used_memory + size_bytes <= self.memory_limit():
            return "memory"
        return "disk" if self._used_disk + size_bytes <= self.disk_limit() else "nowhere"

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Returns an uninitialised array, memory-mapped when it is large.

        Raises:
            StorageError: it fits neither in memory nor on the disk.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        where = self.place(size)
        if where == "memory":
            self._used_memory += size
            return np.empty(shape, dtype)
        if where == "nowhere":
            raise StorageError(
                f"cache of activations: expected at most {self.disk_limit() / 2**20:.0f} MiB in "
                f"{self.parent}. Received: {size / 2**20:.0f} MiB. Use fewer views, a later stage, "
                "a folder on a larger disk (--cache-dir), or --no-cache."
            )
        self._used_disk += size
        try:
            if self._directory is None:
                self.parent.mkdir(parents=True, exist_ok=True)
                self._directory = Path(tempfile.mkdtemp(prefix="tfxfer-cache-", dir=self.folder))
            path = self._directory / f"{len(list(self._directory.iterdir()))}.bin"
            _reserve(path, size)
        except OSError as error:
            raise StorageError(
                f"cache of activations: expected {size / 2**20:.0f} MiB in {self.parent}. "
                f"Received: {error.strerror}. Free some space or name another --cache-dir."
            ) from error
        return np.memmap(path, dtype, "r+", shape=shape)

    def close(self) -> None:
        """Removes the files; arrays from `allocate` are invalid after."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self._used_memory = self._used_disk = 0


def _reserve(path: Path, size_bytes: int) -> None:
    # Reserved now: a full disk under a memory map is a bus error, not an exception.
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size_bytes)
            return
        # macOS and Windows have no such call: what was written is there.
        block = bytes(2**20)
        for start in range(0, size_bytes, len(block)):
            file.write(block[: size_bytes - start])


@dataclass
class Conversion:
    """The part of a model up to some stages as a TFLite file, of which later passes take less.

    Args:
        stages: whose ends are the outputs.
        content: the flatbuffer; empty where nothing has been converted.
        refused: whether LiteRT could not take the network, so that nobody tries again.
    """

    stages: tuple[str, ...] = ()
    content: bytes = b""
    refused: bool = False

    def open_runner(
        self, model: Any, stages: Sequence[str], *, use_litert: bool
    ) -> InterpreterPool | KerasRunner:
        """Returns what runs a model up to some stages, and remembers what it had to convert.

        Args:
            model: whose layers up to the last stage are as they were when it was converted.
            stages: in the order of the runner's outputs.
            use_litert: False takes Keras.
        """
        import keras

        prefix = keras.Model(model.inputs[0], [stage_tensor(model, stage) for stage in stages])
        if self.refused or not use_litert:
            return make_runner(prefix, use_litert=False)
        content = None
        if {*stages} <= {*self.stages}:
            positions = [self.stages.index(stage) for stage in stages]
            content = keep_outputs(self.content, positions)
        runner = make_runner(prefix, content=content)
        if not isinstance(runner, InterpreterPool):
            self.refused = True
        elif content is None:
            self.stages, self.content = tuple(stages), runner.content
        return runner


def fill_frontiers(
    model: Any,
    sources: Mapping[str, tuple[PixelSource, int | Mapping[str | None, int]]],
    stages: Sequence[str | None],
    store: CacheStore,
    *,
    wanted: Mapping[str, np.ndarray] | None = None,
    into: dict[str, dict[str | None, np.ndarray]] | None = None,
    dtype: str = "float16",
    use_litert: bool = True,
    conversion: Conversion | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str | None, np.ndarray]]:
    """Computes the activations at several stages in one pass over the images.

    Args:
        model: from `build_model`; its layers up to the last of the stages must not change while
            the result is used.
        sources: by name, pixels and how many views of each image there is room for, in all or at
            each stage.
        stages: the boundaries; None caches the pixels themselves, as uint8.
        store: where the arrays go.
        wanted: by source, bool (images, views), what this pass computes; all where it names none.
        into: arrays of an earlier pass, which this one completes.
        dtype: of the cached activations; float32 where they would overflow float16.
        use_litert: False computes them through Keras.
        conversion: of an earlier pass, after which no layer up to the last stage was trained; it
            remembers what this one converts.
        progress: told of images done.

    Shapes: for each source and stage (images, views, …).

    Returns:
        Arrays by source and stage.
    """
    cuts = [stage for stage in stages if stage is not None]
    runner = None
    if cuts:
        runner = (conversion or Conversion()).open_runner(model, cuts, use_litert=use_litert)
    rooms = {
        name: dict.fromkeys(stages, room) if isinstance(room, int) else room
        for name, (_, room) in sources.items()
    }
    masks = {
        name: np.ones((len(source), max(rooms[name][stage] for stage in stages)), bool)
        for name, (source, _) in sources.items()
    } | dict(wanted or {})
    total = sum(int(masks[name].sum()) for name in sources)
    done, block = 0, 1 if runner is None else runner.batch_size
    result = {} if into is None else into
    try:
        for name, (source, _) in sources.items():
            arrays = result.setdefault(name, {})
            for where, pixels in _iter_wanted(source, masks[name], block):

                def keep(stage: str | None, values: np.ndarray, dtype: Any) -> None:
                    leading = (len(source), rooms[name][stage])  # noqa: B023  called at once
                    _store(arrays, stage, where, values, leading, store, dtype)  # noqa: B023

                if None in stages:
                    keep(None, pixels, pixels.dtype)
                if runner is not None:
                    for stage, values in zip(cuts, runner(pixels), strict=True):
                        keep(stage, values, dtype)
                done += len(pixels)
                if progress is not None:
                    progress("caching activations", done, total)
    finally:
        if runner is not None:
            runner.close()
    return result


def _iter_wanted(
    source: PixelSource, wanted: np.ndarray, block: int
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Yields image indices and view numbers (n,), and their pixels (n, …).

    n is a multiple of `block` but for the last: what compiles for each shape meets few of them.
    """
    numbers = np.flatnonzero(wanted.any(0))
    rest: tuple[np.ndarray, ...] = ()
    for indices, views, pixels in source.iter_views(numbers.tolist(), wanted=wanted[:, numbers]):
        rows, columns = np.nonzero(wanted[np.ix_(indices, views)])
        found: tuple[np.ndarray, ...] = indices[rows], views[columns], pixels[rows, columns]
        if rest:
            found = tuple(np.concatenate(pair) for pair in zip(rest, found, strict=True))
        full = len(found[0]) // block * block
        if full:
            yield (found[0][:full], found[1][:full]), found[2][:full]
        rest = tuple(part[full:] for part in found)
    if rest and len(rest[0]):
        yield (rest[0], rest[1]), rest[2]


def _store(
    arrays: dict[str | None, np.ndarray],
    stage: str | None,
    where: Any,
    values: np.ndarray,
    leading: tuple[int, int],
    store: CacheStore,
    dtype: Any,
) -> None:
    if not np.all(np.isfinite(values)):
        raise ModelError(
            f"stage {stage!r}: expected finite activations. Received: NaN or infinity. "
            "Are the weights whole?"
        )
    if stage not in arrays:
        arrays[stage] = store.allocate((*leading, *values.shape[1:]), dtype)
    if arrays[stage].dtype == np.float16 and np.abs(values).max() > _FLOAT16_SAFE:
        wide = store.allocate(arrays[stage].shape, np.float32)
        # Where nothing has been stored yet, the bytes may read as a signalling NaN.
        with np.errstate(invalid="ignore"):
            wide[...] = arrays[stage]
        arrays[stage] = wide
    arrays[stage][where] = values
