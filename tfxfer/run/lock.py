"""One process writes to a run at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from tfxfer.errors import RunError
from tfxfer.run.marker_lock import MarkerLock
from tfxfer.system.files import to_json
from tfxfer.system.owner import Owner, current_owner
from tfxfer.system.records import read_document, read_record

__all__ = ["break_lock", "hold_lock"]

# What a disk says that cannot lock files, such as NFS without its lock service.
_UNABLE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
_SETTLE_S = 0.5  # until who has just taken a lock has said so


@dataclass(frozen=True)
class _Holder:
    """Who has a lock.

    Args:
        pid: of the process.
        host: the machine's name.
        mark: see `Owner.mark`; empty where an earlier version wrote this.
    """

    pid: int
    host: str
    mark: str = ""

    @property
    def owner(self) -> Owner | None:
        """The process, where the mark tells it."""
        return Owner.from_mark(self.mark)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is of another machine or container, of whose processes nothing is known."""
        owner = self.owner
        return (
            self.host != socket.gethostname() if owner is None else owner.look_up() == "elsewhere"
        )


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds the lock file `path` until the block ends.

    The operating system keeps the lock and drops it with the process that has it, however that
    ends. The file stays: a lock file that is removed is another one for whoever opened it before.
    On a disk that cannot lock files, a file that says who made it is the lock.

    Raises:
        RunError: another process has it, or this one already does.
    """
    held = _take(path)
    holder = _holder_path(path)
    try:
        said = _Holder(os.getpid(), socket.gethostname(), current_owner().mark)
        holder.write_text(to_json(asdict(said)), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        held.release()


def break_lock(path: Path) -> None:
    """Takes a lock from a process on another machine, of which a person says that it is gone.

    Does nothing where nobody has the lock.

    Args:
        path: the lock file.

    Raises:
        RunError: a process on this machine has it, or one that has not said where it is.
    """
    with contextlib.suppress(RunError), hold_lock(path):
        return
    time.sleep(_SETTLE_S)
    try:
        with hold_lock(path):
            return
    except RunError as error:
        holder = _read_holder(path)
        if holder is None or not holder.is_elsewhere:
            raise RunError(
                f"--break-lock on run {str(path.parent)!r}: expected a lock of another machine. "
                f"Received: that of {_describe_holder(path)}. Wait for it, or end that process."
            ) from error
    # Whoever opened the old file has the lock of that, and of nothing that is still here.
    for name in (path, _marker_path(path), _holder_path(path)):
        name.unlink(missing_ok=True)


def _holder_path(path: Path) -> Path:
    # A file of its own, for messages alone: not every system lets others read a locked one.
    return path.with_name(f"{path.name}-holder")


def _marker_path(path: Path) -> Path:
    return path.with_name(f"{path.name}-soft")


def _take(path: Path) -> filelock.BaseFileLock | MarkerLock:
    lock: filelock.BaseFileLock | MarkerLock = filelock.FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            lock = MarkerLock(_marker_path(path))
            lock.acquire(timeout=0)
    except filelock.Timeout:
        holder = _read_holder(path)
        way_out = (
            "Wait for it, or end that process"
            if holder is None or not holder.is_elsewhere
            else "Wait for it, or end that process there. If that machine is gone: --break-lock"
        )
        raise RunError(
            f"run {str(path.parent)!r} is in use: expected nobody else to write to it. "
            f"Received: {_describe_holder(path)}. {way_out}."
        ) from None
    return lock


def _read_holder(path: Path) -> _Holder | None:
    try:
        document = read_document(_holder_path(path), expected="who has a lock", error=RunError)
        return read_record(_Holder, document, where="lock", error=RunError)
    except RunError:  # it has only just been taken
        return None


def _describe_holder(path: Path) -> str:
    holder = _read_holder(path)
    return "another process" if holder is None else f"process {holder.pid} on {holder.host}"
