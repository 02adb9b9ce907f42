"""One process writes to a run at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from tfxfer.errors import RunError
from tfxfer.system.files import to_json
from tfxfer.system.records import read_document, read_record

__all__ = ["hold_lock"]

# What a disk says that cannot lock files, such as NFS without its lock service.
_UNABLE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class _Holder:
    """Who has a lock."""

    pid: int
    host: str


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds the lock file `path` until the block ends.

    The operating system keeps the lock and drops it with the process that has it, however that
    ends. The file stays: a lock file that is removed is another one for whoever opened it before.

    Raises:
        RunError: another process has it, or this one already does.
    """
    held = _take(path)
    holder = _holder_path(path)
    try:
        holder.write_text(to_json(asdict(_Holder(os.getpid(), socket.gethostname()))))
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        held.release()


def _holder_path(path: Path) -> Path:
    # A file of its own, for messages alone: not every system lets others read a locked one.
    return path.with_name(f"{path.name}-holder")


def _take(path: Path) -> filelock.BaseFileLock:
    lock: filelock.BaseFileLock = filelock.FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            lock = filelock.SoftFileLock(path.with_name(f"{path.name}-soft"))
            lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunError(
            f"run {str(path.parent)!r} is in use: expected nobody else to write to it. "
            f"Received: {_describe_holder(path)}. Wait for it, or end that process."
        ) from None
    return lock


def _describe_holder(path: Path) -> str:
    try:
        document = read_document(_holder_path(path), expected="who has a lock", error=RunError)
        holder = read_record(_Holder, document, where="lock", error=RunError)
    except RunError:  # it has only just been taken
        return "another process"
    return f"process {holder.pid} on {holder.host}"
