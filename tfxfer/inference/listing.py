"""What a person names to be scored: files, folders, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.sample import Sample
from tfxfer.system.arguments import describe_value

__all__ = ["expand_name", "list_samples"]


def list_samples(
    given: str | Path | Sequence[str | Path | Sample], modality: Modality
) -> tuple[Sample, ...]:
    """Returns the samples that are named, in the order of the names; of a folder, sorted by path.

    Labels do not matter here: a folder's samples are those at any depth, whatever its folders mean.

    Args:
        given: a file, a folder or a pattern such as `photos/*.jpg`, or several of them; the samples
            themselves where the modality's are no files. Samples that were found already stay as
            they are.
        modality: says which files are samples.

    Raises:
        DataError: nothing there, or a folder or a pattern without samples.
    """
    items = [given] if isinstance(given, (str, Path)) else given
    if isinstance(items, bytes) or not isinstance(items, Iterable):
        raise DataError(f"{modality.plural}: expected paths. Received: {describe_value(given)}.")
    items = tuple(items)
    found = tuple(item for item in items if isinstance(item, Sample))
    if found and len(found) == len(items):
        return found
    names = []
    for item in items:
        if not isinstance(item, (str, Path)):
            raise DataError(
                f"{modality.plural}: expected paths. Received: {describe_value(item)} among them."
            )
        names += expand_name(str(item), modality)
    return tuple(modality.parse_samples(names))


def expand_name(name: str, modality: Modality) -> list[str]:
    """Returns the files that a word means: itself, those of a folder, or those that match.

    Paths begin as they were typed; a folder's files are those of the modality at any depth, sorted.
    What is not there is returned as it is: the modality says what is wrong with it, or that it is
    the sample itself. Where that may be, a word is no pattern: `?` and `*` belong to it.

    Args:
        name: a path, or a pattern with `*`, `?` or `[]`, which not every shell resolves.
        modality: whose samples are files, or may be.

    Raises:
        DataError: a folder or a pattern without samples, or a name that no disk takes.
    """
    if modality.reads_cells and not (modality.reads_files and _is_folder(name)):
        return [name]
    try:
        is_folder, exists = Path(name).is_dir(), Path(name).exists()
    except OSError as error:  # a name that is too long for the disk
        raise DataError(
            f"{modality.noun} {name[:80]!r}: expected a file. Received: {error.strerror}."
        ) from error
    if is_folder:
        found = sorted(_walk(name, modality))
        if not found:
            raise DataError(f"folder {name!r}: expected {modality.plural} in it. Received: none.")
        return found
    if exists or not glob.has_magic(name):
        return [name]
    # Not `Path.glob`, which takes no absolute pattern.
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    files = [match for match in matches if Path(match).is_file()]
    if not files:
        raise DataError(f"pattern {name!r}: expected files that match. Received: none.")
    return files


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # no name that a disk takes
        return False


def _walk(folder: str, modality: Modality) -> Iterator[str]:
    suffixes = tuple(modality.suffixes)
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(files):
            if not _is_hidden(name) and name.lower().endswith(suffixes):
                yield os.path.join(where, name)  # noqa: PTH118 - a Path would change what was typed


def _is_hidden(name: str) -> bool:
    # What starts with a dot or two underscores is a system's own, such as macOS's `__MACOSX`.
    return name.startswith((".", "__"))
