"""Temporary files and folders whose names say which process they belong to.

What a process leaves behind that is killed outright is known by that name, and goes with the next
one that makes its own beside it, or with `tfxfer doctor --clean`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfxfer.system.owner import MARK, Life, Owner, current_owner

__all__ = [
    "Remains",
    "find_remains",
    "has_owner",
    "is_ours",
    "make_scratch_folder",
    "name_aside",
    "name_temporary",
    "remove_dead",
    "scratch_folder",
]

_LONGEST_BYTES = 255  # of a name, on every common file system
_TEMPORARY, _ASIDE = ".tmp-", ".tmp-old-"
_NAME = re.compile(
    rf"(?:tfxfer-[a-z]+|\.(?P<stem>.*)\.tmp(?P<aside>-old)?)-(?P<mark>{MARK})-[0-9a-f]{{8}}"
    r"(?P<suffix>\.[^.]*)?",
    re.S,
)


@dataclass(frozen=True)
class Remains:
    """A temporary file or folder of some process.

    Args:
        path: where it lies.
        owner: who made it.
        life: what has become of the owner.
        place: where it stood before it was set aside for something new; None if it never did.
    """

    path: Path
    owner: Owner
    life: Life
    place: Path | None = None


def name_temporary(path: Path) -> Path:
    """Returns a path beside another one, for what is to replace that in one step.

    It keeps the suffix, and says whose it is. A name that would be too long is cut.

    Example:
        >>> temporary = name_temporary(Path("run/model.keras"))
        >>> temporary.parent.name, temporary.suffix, temporary.name.startswith(".model.tmp-")
        ('run', '.keras', True)
    """
    tail = f"{_TEMPORARY}{_new_mark()}{path.suffix}"
    # Also for the name that `name_aside` makes of this one.
    room = _LONGEST_BYTES - len(os.fsencode(f".{tail}")) - len(_ASIDE) + len(_TEMPORARY)
    stem = os.fsencode(path.stem)
    kept = path.stem if len(stem) <= room else stem[: max(0, room)].decode("utf-8", "ignore")
    return path.with_name(f".{kept}{tail}")


def name_aside(temporary: Path) -> Path:
    """Returns where that goes which a temporary folder replaces, until it has."""
    stem, _, rest = temporary.name.rpartition(_TEMPORARY)
    return temporary.with_name(f"{stem}{_ASIDE}{rest}")


def make_scratch_folder(what: str, *, parent: Path | None = None) -> Path:
    """Returns a new folder that nobody but this user can read.

    What dead processes left beside it goes first.

    Args:
        what: one word for its name.
        parent: where it is made; None is the system's place for temporary files.

    Raises:
        OSError: it cannot be made.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    remove_dead(parent)
    folder = parent / f"tfxfer-{what}-{_new_mark()}"
    folder.mkdir(mode=0o700)
    return folder


@contextlib.contextmanager
def scratch_folder(what: str, *, parent: Path | None = None) -> Iterator[Path]:
    """Yields a new folder that is removed at the end; see `make_scratch_folder`.

    Example:
        >>> with scratch_folder("example") as folder:
        ...     _ = (folder / "a.txt").write_text("a")
        >>> folder.exists()
        False
    """
    folder = make_scratch_folder(what, parent=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_owner(path: Path) -> bool:
    """Returns whether a name says whose it is, which those of earlier versions did not."""
    return _NAME.fullmatch(path.name) is not None


def find_remains(folder: Path) -> Iterator[Remains]:
    """Yields what lies in a folder and carries the mark of a process; nothing of other users."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
    except OSError:  # not there, or not ours to read
        return
    for path in map(Path, sorted(found)):
        matched = _NAME.fullmatch(path.name)
        owner = None if matched is None else Owner.from_mark(matched["mark"])
        if matched is None or owner is None or not is_ours(path):
            continue
        place = None
        if matched["aside"]:
            place = path.with_name(f"{matched['stem']}{matched['suffix'] or ''}")
        yield Remains(path, owner, owner.look_up(), place)


def remove_dead(
    folder: Path, *, on_restored: Callable[[Remains], None] | None = None
) -> tuple[Remains, ...]:
    """Removes what dead processes left in a folder, and returns what has gone.

    What belongs to a living process stays, and so does what another machine has made, of whose
    processes nothing is known here. What was set aside goes back where nothing has replaced it.

    Args:
        folder: that is looked through.
        on_restored: gets what has gone back to its place.
    """
    gone = []
    for remains in find_remains(folder):
        if remains.life != "dead":
            continue
        if remains.place is not None and not os.path.lexists(remains.place):
            with contextlib.suppress(OSError):
                remains.path.rename(remains.place)
                if on_restored is not None:
                    on_restored(remains)
        elif _remove(remains.path):
            gone.append(remains)
    return tuple(gone)


def _remove(path: Path) -> bool:
    """Removes a file or a folder and returns whether it is gone; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    return not os.path.lexists(path)


def _new_mark() -> str:
    return f"{current_owner().mark}-{secrets.token_hex(4)}"


def is_ours(path: Path) -> bool:
    """Returns whether this user made it: in a common folder anybody can take any name."""
    try:
        found = path.lstat()
    except OSError:  # gone meanwhile
        return False
    is_plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return is_plain and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())
