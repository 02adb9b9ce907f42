"""Where the samples of a run are, by the paths that its tables name them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfxfer.data.columns import Columns
from tfxfer.data.record import Record, Source
from tfxfer.data.sources import read_source
from tfxfer.errors import RunError
from tfxfer.job.demo import stored_source
from tfxfer.modality import Modality
from tfxfer.registry.lookup import get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.sample import Sample

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["list_cells", "open_run_samples", "read_cells_of"]


def list_cells(source: Source | None) -> Mapping[str, str]:
    """Returns the samples that are cells of a table, by path."""
    records = () if source is None else source.records
    return {record.path: record.content for record in records if record.content is not None}


def read_cells_of(run: RunDirectory, modality: Modality) -> Mapping[str, str]:
    """Returns the cells that a run was trained on, by path; none where its samples are files.

    Raises:
        DataError: the table is another one by now.
    """
    request = run.read_manifest().request
    data = Path(str(request.get("data", "")))
    if not modality.reads_cells or not data.is_file():
        return {}
    return list_cells(read_source(data, modality, Columns.of_request(request)))


def open_run_samples(
    run: RunDirectory, registry: Registry | None = None
) -> Callable[[str], Sample]:
    """Returns what finds a sample of a run by its path; files need not be there.

    Args:
        run: whose manifest can be read.
        registry: where its plugins are looked up; None is what is installed.

    Raises:
        RunError: it does not say where its samples are.
        TfxferError: its demo or its table cannot be read.
    """
    manifest = run.read_manifest()
    data = str(manifest.request.get("data", ""))
    if not data:
        raise RunError(
            f"run {str(run.path)!r}: expected one that says where its samples are. "
            "Received: no data in its request. Name the samples."
        )
    stored, path = stored_source(data, registry), Path(data)
    if stored is not None:
        root, cells = stored.root, list_cells(stored)
    else:
        root = path if path.is_dir() else path.parent
        cells = read_cells_of(run, get_modality(manifest.modality, registry))

    def locate(name: str) -> Sample:
        found = Record(name, "", content=cells.get(name)).locate(root)
        # A person is told of a file by a path that opens it.
        return found if found.path is None else Sample(str(found.path), found.path)

    return locate
