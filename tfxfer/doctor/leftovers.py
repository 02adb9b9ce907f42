"""What processes that were killed have left behind, and where it lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfxfer.doctor.environment import Leftover
from tfxfer.doctor.hardware import find_temporary, measure_folder
from tfxfer.run.directory import RunDirectory, is_run_folder
from tfxfer.system.folders import cache_folder
from tfxfer.system.scratch import find_remains, remove_dead

__all__ = ["find_leftovers", "list_places", "remove_leftovers"]

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


def find_leftovers(places: Iterable[Path]) -> tuple[Leftover, ...]:
    """Returns what lies in these folders and is of no living process."""
    found = {}
    for place in places:
        for remains in find_remains(place):
            if remains.life == "alive":
                continue
            is_folder = remains.path.is_dir()
            size = measure_folder(remains.path) if is_folder else (_measure(remains.path), True)
            # One place may be named in two ways.
            found[remains.path.absolute()] = Leftover(
                str(remains.path), *size, remains.owner.pid, remains.life
            )
    return tuple(found.values())


def remove_leftovers(places: Iterable[Path]) -> frozenset[str]:
    """Removes what dead processes left in these folders, and returns the paths that are gone."""
    return frozenset(str(remains.path) for place in places for remains in remove_dead(place))


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
