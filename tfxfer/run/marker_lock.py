"""A lock for disks that cannot lock files: a file that says whose it is."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import filelock

from tfxfer.system.owner import Owner, current_owner
from tfxfer.system.scratch import name_temporary

__all__ = ["MarkerLock"]

_TRIES = 5  # others take, drop and break the same lock meanwhile
_SETTLE_S = 0.5  # until who has made the file has said whose it is


class MarkerLock:
    """Held as long as the file is there and its owner lives.

    Nobody drops it for a process that is killed: the next one finds that its owner is dead. An
    empty or damaged file has no owner, and keeps nobody out.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = f"{current_owner().mark}\n"

    def acquire(self, timeout: float = 0) -> None:
        """Takes the lock.

        Args:
            timeout: 0; it never waits for the lock.

        Raises:
            filelock.Timeout: a process has it that lives, or of which nothing is known.
        """
        for _ in range(_TRIES):
            if self._create():
                return
            text = self._read()
            if text is not None and Owner.from_mark(text.strip()) is None:
                time.sleep(_SETTLE_S)
                text = self._read()
            if text is None:  # dropped meanwhile
                continue
            owner = Owner.from_mark(text.strip())
            if owner is not None and owner.look_up() != "dead":
                break
            self._set_aside(text)
        raise filelock.Timeout(str(self._path))

    def release(self, force: bool = False) -> None:
        """Drops the lock, unless it has been broken and is another's.

        Args:
            force: as filelock has it; there is nothing to force.
        """
        if self._read() == self._text:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _create(self) -> bool:
        """Returns whether the file is ours now."""
        whole = name_temporary(self._path)
        whole.write_text(self._text, encoding="utf-8")
        try:
            # With its content from the first moment.
            self._path.hardlink_to(whole)
        except FileExistsError:
            return False
        except OSError:  # a disk without hard links
            return self._create_empty()
        finally:
            # Where it cannot go, the lock is held all the same: `remove_dead` takes it later.
            with contextlib.suppress(OSError):
                whole.unlink()
        return True

    def _create_empty(self) -> bool:
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(self._text)
        except FileExistsError:
            return False
        return True

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def _set_aside(self, text: str) -> None:
        """Takes a file away that keeps nobody out, unless it has become another one."""
        aside = name_temporary(self._path)
        try:
            self._path.rename(aside)
        except OSError:  # another process was faster
            return
        if aside.read_text(encoding="utf-8", errors="replace") != text:
            # It was faster, and this is its lock.
            with contextlib.suppress(OSError):
                os.link(aside, self._path)
        aside.unlink()
