"""Where the provenance of a Keras model is kept: inside its file, or beside it in its run."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tfxfer.data.provenance import PROVENANCE_FILE, Provenance
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError, ModelError
from tfxfer.run.directory import RunDirectory

__all__ = ["add_to_keras_file", "read_keras_provenance", "read_run_provenance"]

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
            size = archive.getinfo(PROVENANCE_FILE).file_size
            if size > _MAX_BYTES:
                raise ModelError(
                    f"model {str(path)!r}: expected at most {_MAX_BYTES:,} bytes of "
                    f"{PROVENANCE_FILE}. Received: {size:,}."
                )
            return Provenance.from_bytes(archive.read(PROVENANCE_FILE))
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        raise ModelError(
            f"model {str(path)!r}: expected a .keras file. Received: {error}."
        ) from error


def read_run_provenance(run: RunDirectory) -> Provenance | None:
    """Returns what a run was trained on; None where its split knows paths alone, or is gone."""
    if not run.split_path.is_file():
        return None
    try:
        return Provenance.of_rows(read_split_table(run.split_path))
    except DataError as error:
        raise ModelError(f"run {str(run.path)!r}: {error}") from error
