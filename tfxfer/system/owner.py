"""Which process something belongs to, in a form that fits into the name of a file.

A process number alone is no owner: systems give it to the next process. With the start of the
process it is one, until another machine, or another container, has a process of that number.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

__all__ = ["MARK", "Life", "Owner", "current_owner", "read_machine"]

Life = Literal["alive", "dead", "elsewhere"]
"""What is known of an owner; of one on another machine or in another container, nothing is."""

MARK = r"(\d{1,10})-(\d{1,20})-([0-9a-f]{8})"
"""Pattern of `Owner.mark`."""

_STATE, _START = 0, 19  # fields of /proc/PID/stat, counted from the one after the program's name


@dataclass(frozen=True)
class Owner:
    """A process.

    Args:
        pid: its number.
        start: when it began, in ticks since the machine started, or where the system does not tell
            those, in milliseconds since 1970. Not the clock's time where it can be helped: a clock
            that is put right would make a living process another one.
        place: digest of the machine, and of the container, whose processes the number counts.
    """

    pid: int
    start: int
    place: str

    @property
    def mark(self) -> str:
        """The owner as part of a file's name."""
        return f"{self.pid}-{self.start}-{self.place}"

    @classmethod
    def from_mark(cls, mark: str) -> Self | None:
        """Returns the owner that a mark stands for; None for anything else.

        Example:
            >>> Owner.from_mark("12-3456-0123abcd")
            Owner(pid=12, start=3456, place='0123abcd')
            >>> Owner.from_mark("12-3456")
        """
        found = re.fullmatch(MARK, mark)
        return None if found is None else cls(int(found[1]), int(found[2]), found[3])

    def look_up(self) -> Life:
        """Returns whether this process is still there. In doubt it is."""
        if self.place != read_machine():
            return "elsewhere"
        return "alive" if _is_running(self.pid, self.start) else "dead"


def current_owner() -> Owner:
    """Returns this process."""
    return _make_owner(os.getpid())  # anew after a fork


@functools.lru_cache(maxsize=1)
def _make_owner(pid: int) -> Owner:
    return Owner(pid, _read_start(pid) or 0, read_machine())


@functools.cache
def read_machine() -> str:
    """Returns eight hexadecimal digits that stand for this machine and container.

    Two machines that share a disk may have one name, and containers count their processes each from
    1.
    """
    parts = [socket.gethostname(), "", ""]
    # Other systems have neither, and images of containers often not the first.
    # Where there is none, what the kernel draws when it starts: after that, what is left of before
    # is of another machine, which is safe.
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        if not parts[1]:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                parts[1] = Path(path).read_text(encoding="utf-8").strip()
    with contextlib.suppress(OSError):
        parts[2] = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path: 'pid:[4026531836]'
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def _is_running(pid: int, start: int) -> bool:
    if not _is_taken(pid):
        return False
    found = _read_start(pid)
    # Unreadable: of another user, and hidden from us. It may be the one.
    return found is None or (found == start and found != 0)


def _is_taken(pid: int) -> bool:
    """Returns whether a process has this number."""
    if sys.platform == "win32":  # pragma: no cover - there, os.kill ends what it is asked about
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _read_start(pid: int) -> int | None:
    """Returns when a process began; 0 for one that is dead and not yet buried; None if unknown."""
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The program's name stands in brackets, and may hold brackets and spaces itself.
        fields = text.rpartition(")")[2].split()
        return 0 if fields[_STATE] in "ZX" else int(fields[_START])
    import psutil  # pragma: no cover - not Linux

    try:
        return round(psutil.Process(pid).create_time() * 1000)
    except psutil.NoSuchProcess:
        return 0
    except psutil.Error:
        return None
