"""What processes that were killed have left behind, and where it lies."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfxfer.doctor.environment import Leftover
from tfxfer.doctor.hardware import find_temporary, measure_folder
from tfxfer.job.place import is_shelf_needed
from tfxfer.run.directory import RunDirectory, is_run_folder
from tfxfer.run.shelf_owner import find_shelves, read_owner
from tfxfer.system.folders import cache_folder
from tfxfer.system.owner import Life, Owner
from tfxfer.system.scratch import Remains, find_remains, make_scratch_folder, remove_dead

__all__ = ["Removal", "find_leftovers", "list_places", "remove_leftovers"]

_MOST_FOLDERS = 10_000  # looked into, of one place: it may be a folder of photos


def list_places(folders: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Returns where something of ours may lie.

    The system's place for temporary files, the cache, the current folder and those that are named,
    and in these every run, down to runs in their folders such as `runs/1`.

    Args:
        folders: to look through, too: a run, what holds runs, or a `--cache-dir`.
    """
    packages = cache_folder() / "packages"
    places = [find_temporary(), cache_folder(), *_list_folders(packages)]
    for folder in (Path(), *folders):
        places += _list_runs(folder)
    return tuple(dict.fromkeys(places))


@dataclass(frozen=True)
class Removal:
    """What has become of leftovers.

    Args:
        removed: paths that are gone.
        restored: where that lies again which a dead process had set aside, by the path that it
            had meanwhile.
    """

    removed: frozenset[str]
    restored: Mapping[str, str]


def find_leftovers(places: Iterable[Path]) -> tuple[Leftover, ...]:
    """Returns what lies in these folders and is of no living process.

    Of cached activations, that is what no training can go on with.
    """
    found = {}
    for place in places:
        owned = [(each.path, each.owner, each.life) for each in find_remains(place)]
        for path, owner, life in (*owned, *_list_idle_shelves(place)):
            if life == "alive":
                continue
            size = measure_folder(path) if path.is_dir() else (_measure(path), True)
            # One place may be named in two ways.
            found[path.absolute()] = Leftover(str(path), *size, owner.pid, life)
    return tuple(found.values())


def remove_leftovers(places: Iterable[Path]) -> Removal:
    """Removes what dead processes left in these folders.

    What they had set aside goes back to its place where nothing has replaced it.
    """
    removed: set[str] = set()
    restored: dict[str, str] = {}

    def note(remains: Remains) -> None:
        restored[str(remains.path)] = str(remains.place)

    for place in places:
        removed |= {str(each.path) for each in remove_dead(place, on_restored=note)}
        removed |= {
            str(path)
            for path, owner, life in _list_idle_shelves(place)
            if life == "dead" and _remove_shelf(path, owner)
        }
    return Removal(frozenset(removed), restored)


def _list_idle_shelves(place: Path) -> Iterator[tuple[Path, Owner, Life]]:
    for path, owner in find_shelves(place):
        if owner.process is not None and not is_shelf_needed(path, Path(owner.run)):
            yield path, owner.process, owner.process.look_up()


def _remove_shelf(path: Path, owner: Owner) -> bool:
    """Removes cached activations of a dead process, unless another one takes them up meanwhile."""
    aside = make_scratch_folder("cache", parent=path.parent) / path.name
    try:
        path.rename(aside)
    except OSError:  # gone, or not ours to move
        aside.parent.rmdir()
        return False
    now = read_owner(aside)
    if now is not None and now.process != owner:
        with contextlib.suppress(OSError):
            aside.rename(path)
    shutil.rmtree(aside.parent, ignore_errors=True)
    return not path.exists()


def _list_runs(folder: Path) -> Iterator[Path]:
    """Yields a folder, and those of the runs in it and in its own folders."""
    yield folder
    if is_run_folder(folder):
        yield from RunDirectory(folder).list_folders()
        return
    for child in _list_folders(folder):
        for path in [child] if is_run_folder(child) else _list_folders(child):
            if is_run_folder(path):
                yield from RunDirectory(path).list_folders()


def _list_folders(folder: Path) -> list[Path]:
    try:
        found = (path for path in folder.iterdir() if not path.is_symlink() and path.is_dir())
        return [path for path, _ in zip(found, range(_MOST_FOLDERS), strict=False)]
    except OSError:  # not there, or not ours to read
        return []


def _measure(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone meanwhile
        return 0
