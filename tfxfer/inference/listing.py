"""What a person names to be scored: files, folders, patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfxfer.errors import DataError
from tfxfer.modality import Modality, Sample
from tfxfer.system.arguments import describe_value

__all__ = ["list_samples"]


def list_samples(
    given: str | Path | Sequence[str | Path], modality: Modality
) -> tuple[Sample, ...]:
    """Returns the samples that are named, in the order of the names; of a folder, sorted by path.

    Labels do not matter here: a folder's samples are those at any depth, whatever its folders mean.

    Args:
        given: a file, a folder or a pattern such as `photos/*.jpg`, or several of them; the samples
            themselves where the modality's are no files.
        modality: says which files are samples.

    Raises:
        DataError: nothing there, or a folder or a pattern without samples.
    """
    items = [given] if isinstance(given, (str, Path)) else given
    if isinstance(items, bytes) or not isinstance(items, Iterable):
        raise DataError(f"{modality.plural}: expected paths. Received: {describe_value(given)}.")
    names = []
    for item in items:
        if not isinstance(item, (str, Path)):
            raise DataError(
                f"{modality.plural}: expected paths. Received: {describe_value(item)} among them."
            )
        names += [str(item)] if modality.column != "path" else _expand(str(item), modality)
    return tuple(modality.parse_samples(names))


def _expand(name: str, modality: Modality) -> list[str]:
    path = Path(name)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long for the disk
        raise DataError(
            f"{modality.noun} {name[:80]!r}: expected a file. Received: {error.strerror}."
        ) from error
    if is_folder:
        found = [str(file) for file in sorted(path.rglob("*")) if _is_sample(file, path, modality)]
        if not found:
            raise DataError(
                f"folder {name!r}: expected {modality.plural}, files that end in "
                f"{', '.join(sorted(modality.suffixes))}. Received: none."
            )
        return found
    if exists or not glob.has_magic(name):
        return [name]  # the modality says what is wrong with it, if something is
    # Not `Path.glob`, which takes no absolute pattern.
    matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    files = [match for match in matches if Path(match).is_file()]
    if not files:
        raise DataError(f"pattern {name!r}: expected files that match. Received: none.")
    return files


def _is_sample(file: Path, root: Path, modality: Modality) -> bool:
    # What starts with a dot or two underscores is a system's own, such as macOS's `__MACOSX`.
    hidden = any(part.startswith((".", "__")) for part in file.relative_to(root).parts)
    return not hidden and file.name.lower().endswith(tuple(modality.suffixes)) and file.is_file()
