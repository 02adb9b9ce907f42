"""Where the provenance of a model is kept: inside a `.keras` file, or in the run it lies in."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tfxfer.data.provenance import PROVENANCE_FILE, Provenance
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError, ModelError
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.system.archives import ARCHIVE_FAULTS, read_member

__all__ = [
    "add_to_keras_file",
    "infer_provenance",
    "read_keras_provenance",
    "read_run_provenance",
]

_MAX_BYTES = 1 << 28  # 33 million samples: a forged archive must not fill the memory


def add_to_keras_file(path: Path, provenance: Provenance) -> None:
    """Puts the provenance into a `.keras` file: Keras reads only the names that it knows.

    Args:
        path: the file, which is changed in place.
        provenance: of its model.
    """
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(PROVENANCE_FILE), provenance.to_bytes())


def read_keras_provenance(path: Path) -> Provenance | None:
    """Returns what a `.keras` file says of itself; None where it says nothing.

    Raises:
        ModelError: what it says is damaged.
    """
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if PROVENANCE_FILE not in archive.namelist():
                return None
            content = read_member(archive, PROVENANCE_FILE, limit=_MAX_BYTES)
        return Provenance.from_bytes(content)
    except ModelError:
        raise  # ours: it is a ValueError, too
    except ARCHIVE_FAULTS as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .keras file. Received: {error}."
        ) from error


def read_run_provenance(run: RunDirectory) -> Provenance | None:
    """Returns what a run was trained on; None where its split knows paths alone, or is gone.

    Raises:
        RunError: the split is not the one that it was trained on.
        ModelError: the split is damaged.
    """
    if not run.split_path.is_file():
        return None
    try:
        return Provenance.of_rows(read_split_table(check_sealed(run, run.split_path)))
    except DataError as error:
        raise ModelError(f"run {str(run.path)!r}: {error}") from error


def infer_provenance(path: Path) -> tuple[Provenance | None, str]:
    """Returns what a file that says nothing may have been trained on, by where it lies.

    An `.h5` file and a SavedModel have no room for it, and most of those that lie in a run, or in a
    folder of it, are its model in another form.

    Args:
        path: of the file, or the folder of a SavedModel.

    Returns:
        What the run was trained on, and the line that says so to a person; None and nothing where
        it lies in no run.

    Raises:
        RunError: the run's split is not the one that it was trained on.
        ModelError: it is damaged.
    """
    folder = path.absolute().parent
    for place in (folder, folder.parent):
        run = RunDirectory(place)
        known = read_run_provenance(run) if run.manifest_path.is_file() else None
        if known is not None:
            return known, (
                f"model {str(path)!r} says nothing of what it was trained on: it is taken for a "
                f"model of the run that it lies in, {place.name!r}"
            )
    return None, ""
