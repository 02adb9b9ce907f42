"""What `--resume` goes on from: where a training stands, in files that are whole at any moment.

`state.json` names the file of arrays beside it, so that the two are never of different epochs. Both
hold plain data: JSON, and arrays that numpy reads without running anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import RunError, TfxferError
from tfxfer.run.directory import RunDirectory
from tfxfer.schedule import FitState
from tfxfer.system.archives import ARCHIVE_FAULTS, check_stored
from tfxfer.system.bounded import MOST_JSON_BYTES, read_text
from tfxfer.system.files import atomic_write, to_json
from tfxfer.system.records import read_record
from tfxfer.training.snapshot import PhaseProgress, Snapshot

__all__ = ["Checkpoints", "is_due"]

_STATE = "state.json"
_WEIGHTS = "arr"  # the best weights, as `numpy.savez` names what has no name
_MOST_LOST_S = 60.0
_WRITE_SHARE = 0.05  # of the time, that writing may take
_PARTS = tuple(
    item.name for item in fields(Snapshot) if item.name not in ("state", "best", "progress")
)


def is_due(*, since_s: float, epoch_s: float, write_s: float) -> bool:
    """Returns whether an epoch that is over is to be written.

    It is where writing costs next to nothing, and where waiting for the next epoch would put more
    than a minute of work at stake.

    Args:
        since_s: seconds since the last checkpoint.
        epoch_s: that the epoch took, as the next one will.
        write_s: that the last checkpoint took.

    Example:
        >>> is_due(since_s=0.5, epoch_s=0.5, write_s=0.01)
        True
        >>> is_due(since_s=5, epoch_s=1, write_s=2), is_due(since_s=5, epoch_s=56, write_s=2)
        (False, True)
    """
    return since_s + epoch_s > _MOST_LOST_S or write_s <= _WRITE_SHARE * since_s


@dataclass(frozen=True)
class _Stored:
    """What `state.json` holds: the name of a file of arrays, and the state they are of."""

    weights: str
    state: Mapping[str, Any]
    progress: PhaseProgress | None = None


class Checkpoints:
    """Keeps where a run's training stands.

    Args:
        run: whose lock is held.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run, self._folder = run, run.checkpoints
        self._pending: Snapshot | None = None
        self._written_at = self._epoch_at = time.monotonic()
        self._write_s = 0.0

    def keep_epoch(self, snapshot: Snapshot) -> None:
        """Writes a snapshot, or holds it until the next one or `save_pending`."""
        now = time.monotonic()
        epoch_s, self._epoch_at = now - self._epoch_at, now
        self._pending = snapshot
        since_s = now - self._written_at
        if is_due(since_s=since_s, epoch_s=epoch_s, write_s=self._write_s):
            self.save_pending()

    def keep_phase(self, model: Any, state: FitState) -> None:
        """Writes the best weights after a phase, which a model holds, and the state."""
        self._pending = None
        self._write(Snapshot(state, tuple(model.get_weights())))

    def save_pending(self) -> None:
        """Writes the last epoch that is over, where that has not been done."""
        if self._pending is not None:
            self._write(self._pending)
            self._pending = None

    def load(self) -> Snapshot | None:
        """Returns where the training stands; None where not even an epoch is kept.

        Raises:
            RunError: a checkpoint that cannot be read.
        """
        path = self._folder / _STATE
        if not path.is_file():
            return None
        try:
            document = json.loads(read_text(path, MOST_JSON_BYTES))
            stored = read_record(_Stored, document, where=str(path), error=RunError, has_nan=True)
            content = (self._folder / Path(stored.weights).name).read_bytes()
            arrays = _read_arrays(content)
            state = FitState.from_dict(stored.state)
            parts = {name: arrays.get(name, ()) for name in _PARTS}
            return Snapshot(state, arrays[_WEIGHTS], stored.progress, **parts)
        except (*ARCHIVE_FAULTS, TypeError, RecursionError) as error:
            raise self._describe_damage(error) from error

    def restore(self, model: Any) -> Snapshot | None:
        """Gives a model the best weights so far, and returns where the training stands.

        Raises:
            RunError: a checkpoint that cannot be read, or of another network.
        """
        snapshot = self.load()
        if snapshot is not None:
            try:
                model.set_weights(snapshot.best)
            except ValueError as error:
                raise self._describe_damage(error) from error
        return snapshot

    def remove(self) -> None:
        """Removes all of it: a run that is done has its model."""
        for path in (self._folder / _STATE, *self._folder.glob("*.npz")):
            with contextlib.suppress(OSError):  # it takes room, no more
                path.unlink(missing_ok=True)

    def _write(self, snapshot: Snapshot) -> None:
        started, state, progress = time.monotonic(), snapshot.state, snapshot.progress
        done = len(state.records)
        name = f"{done}-{state.records[-1].name}.npz" if done else "0.npz"
        if progress is not None:
            name = f"{name.removesuffix('.npz')}-epoch-{progress.epochs}.npz"
        arrays = {f"{_WEIGHTS}_{n}": values for n, values in enumerate(snapshot.best)}
        for part in _PARTS:
            arrays |= {f"{part}_{n}": x for n, x in enumerate(getattr(snapshot, part))}
        with atomic_write(self._folder / name) as temporary:
            # Not Keras's HDF5: on a full disk that library ends the process with a segmentation
            # fault. And not numpy straight to disk: its zip file would be left open.
            content = io.BytesIO()
            np.savez(content, **arrays)  # type: ignore[arg-type]
            # A view of its buffer would outlive it in the traceback of a full disk.
            temporary.write_bytes(content.getvalue())
        with atomic_write(self._folder / _STATE) as temporary:
            document = {"weights": name, "state": state.to_dict()}
            if progress is not None:
                document["progress"] = progress.to_dict()
            temporary.write_text(to_json(document), encoding="utf-8")
        for path in self._folder.glob("*.npz"):
            if path.name != name and not path.name.startswith("."):
                with contextlib.suppress(OSError):
                    path.unlink()
        self._written_at = time.monotonic()
        self._write_s = self._written_at - started

    def _describe_damage(self, error: Exception) -> TfxferError:
        return RunError(
            f"run {str(self._run.path)!r}: expected a checkpoint that can be read. Received: "
            f"{type(error).__name__}: {error}. Train anew with --overwrite."
        )


def _read_arrays(content: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    """Returns arrays by the part of a snapshot that they are of, in order.

    Raises:
        ValueError: a name that no part has.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        check_stored(stored.zip)
        for name in stored.files:
            match = re.fullmatch(r"([a-z]+)_(\d+)", name)
            if match is None or match[1] not in (_WEIGHTS, *_PARTS):
                raise ValueError(f"an array named {name!r}")
            found.setdefault(match[1], {})[int(match[2])] = stored[name]
    return {part: tuple(x[n] for n in range(len(x))) for part, x in found.items()}
