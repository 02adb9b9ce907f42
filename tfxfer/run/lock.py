"""One process writes to a run at a time."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfxfer.errors import RunError

__all__ = ["hold_lock"]


@contextlib.contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds the lock file `path` until the block ends; takes over that of a dead process.

    Raises:
        RunError: a living process has it, or one on another machine.
    """
    mine = _identity()
    _take(path, mine)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8")) == mine:
                path.unlink()


def _identity(pid: int | None = None) -> dict[str, Any]:
    import psutil

    pid = os.getpid() if pid is None else pid
    # The start time tells a process from a later one with the same number: in containers the
    # numbers are small and come back at every start.
    return {
        "pid": pid,
        "host": socket.gethostname(),
        "started": psutil.Process(pid).create_time(),
    }


def _take(path: Path, mine: Mapping[str, Any]) -> None:
    for _ in range(2):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            _drop_stale(path)
        else:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(mine, file)
            return
    raise _taken(path, "another process that was a moment faster")


def _drop_stale(path: Path) -> None:
    """Removes the lock of a dead process; raises RunError if it may be alive."""
    import psutil

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    try:
        holder = json.loads(text)
        pid, host, started = holder["pid"], holder["host"], holder["started"]
    except (ValueError, KeyError, TypeError):
        raise _taken(path, "a lock that cannot be read") from None
    if host != socket.gethostname():
        raise _taken(path, f"process {pid} on {host}")
    try:
        alive = abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        alive = False
    if alive:
        raise _taken(path, f"process {pid}")
    # Two processes may find the same stale lock: only the one that moves that very file drops it.
    aside = path.with_name(f"{path.name}.tmp-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        if aside.read_text(encoding="utf-8") != text:
            aside.rename(path)
            raise _taken(path, "another process that was a moment faster")
        aside.unlink()


def _taken(path: Path, holder: str) -> RunError:
    shown = str(path.parent)
    return RunError(
        f"run {shown!r} is in use: expected nobody else to write to it. Received: {holder}. "
        f"Wait for it, or remove {str(path)!r} if nothing runs."
    )
