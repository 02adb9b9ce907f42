"""Where the samples are and what they are called: class folders, split folders, or a table."""

from __future__ import annotations

from pathlib import Path

from tfxfer.data.columns import Columns
from tfxfer.data.folders import read_folder, read_source_folders
from tfxfer.data.record import IgnoredFile, Record, Source
from tfxfer.data.sample_table import read_sample_table
from tfxfer.errors import DataError
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.system.arguments import check_path

__all__ = ["IgnoredFile", "Record", "Source", "read_source"]


def read_source(
    path: str | Path,
    modality: Modality,
    columns: Columns | None = None,
    *,
    progress: Progress | None = None,
) -> Source:
    """Lists the labelled samples of a folder of class folders, of split folders, or of a table.

    A folder with `train/` and `val/` or `test/` (also `valid`, `validation`, `training`, `testing`)
    is one of split folders; each holds class folders. In class folders, samples may lie at any
    depth. A table has the columns `path,label[,split][,group]`, separated by comma, semicolon or
    tab, or as keys of a JSON object on each line (`.jsonl`); its paths are relative to its own
    folder. In place of `path` stands the modality's own column, where its samples may lie in the
    table itself. Further columns are slices, see `tfxfer.data.slice_table`. A folder may also hold
    one folder a source, with class folders in each: then `columns` says so.

    Args:
        path: the folder, or the table.
        modality: says which files, or which column, hold samples.
        columns: what a table calls them, where that is not as above.
        progress: told of a table's rows.

    Raises:
        DataError: nothing there, no samples, columns or labels that cannot be meant, or a path that
            leads out of the data folder.
    """
    path = check_path(path, where="data")
    try:
        if path.is_dir():
            if columns is not None and columns.has_sources:
                return read_source_folders(
                    path.resolve(), modality, is_sure=not columns.are_remembered
                )
            return read_folder(path.resolve(), modality)
        if path.is_file():
            return read_sample_table(path, modality, columns, progress=progress)
        exists = path.exists()
    except PermissionError as error:
        raise DataError(
            f"data {str(path)!r}: expected a folder or a table that can be read. "
            f"Received: {error.strerror}, {error.filename!r}. Change its permissions."
        ) from error
    except OSError as error:
        raise DataError(
            f"data {str(path)[:200]!r}: expected a folder or a table. Received: {error.strerror}."
        ) from error
    received = "no regular file" if exists else "nothing at that path"
    raise DataError(
        f"data {str(path)!r}: expected a folder of class folders, a folder with train/, val/ and "
        f"test/, or a table such as a CSV. Received: {received}."
    )
