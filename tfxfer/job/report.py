"""The page of a run, with what the job knows of it: where its samples are, how to repeat it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.record import Record, Source
from tfxfer.errors import DataError, PluginError, StorageError, TfxferError
from tfxfer.inference.loading import load_predictor
from tfxfer.inference.predictor import Predictor
from tfxfer.job.command_line import write_command
from tfxfer.job.demo import demo_command, demo_source, find_demo
from tfxfer.job.request import TrainRequest
from tfxfer.job.run_samples import list_cells, read_cells_of
from tfxfer.progress import Progress
from tfxfer.registry.lookup import get_modality
from tfxfer.report.content import make_content
from tfxfer.report.heats import can_explain, map_heats, mark_samples
from tfxfer.report.material import Material, Origin, read_material
from tfxfer.report.writer import WrittenReport, write_report
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.marks import Marks

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["find_origin", "report_run"]


def report_run(
    run: RunDirectory,
    *,
    out: str | Path | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
    model: Any = None,
) -> WrittenReport:
    """Writes the page of a run.

    Args:
        run: a finished one.
        out: the file; None is the run's own `report.html`.
        registry: where its plugins are looked up; None is what is installed.
        progress: told how far it is.
        model: the run's Keras model, where it is in memory; None loads it where it is needed.

    Raises:
        RunError: it is not finished, or a record of it says something else.
        TfxferError: see `read_material` and `write_report`.
    """
    material = read_material(run, origin=find_origin(run, registry), registry=registry)
    material = _measure_gap(material, registry, progress)
    content = make_content(material)
    heats: dict[str, np.ndarray] = {}
    marks: dict[str, Marks] = {}
    explained = content.list_explained()
    # A model that was moved away costs the page what it looked at, and nothing else.
    is_there = model is not None or run.model_path.is_file()
    if explained and is_there and can_explain(material):
        predictor = _open_predictor(run, model, registry)
        heats = map_heats(material, explained, predictor, progress=progress)
        marks = mark_samples(material, explained, predictor, progress=progress)
    return write_report(material, content, out=out, heats=heats, marks=marks, progress=progress)


def _measure_gap(
    material: Material, registry: Registry | None, progress: Progress | None
) -> Material:
    """Returns the material with the domain gap, where it can be had; the run keeps it."""
    if material.gap is not None or material.origin.root is None:
        return material
    from tfxfer.trust.gap import find_gap

    try:
        gap = find_gap(
            material.run, source=_list_used(material), registry=registry, progress=progress
        )
    except TfxferError as error:
        # Such as weights that are gone: the page says so in its place.
        return replace(material, gap_fault=f"It could not be measured: {error}")
    return replace(material, gap=gap)


def _list_used(material: Material) -> Source | None:
    """Returns the samples of a run, without looking through all of its data for them."""
    origin = material.origin
    if origin.source is not None or origin.root is None:
        return origin.source
    records = tuple(Record(row.path, row.label) for row in material.split)
    # Samples that are no files are cells of a table, which must be read again.
    if not records or not all((origin.root / record.path).is_file() for record in records):
        return None
    return Source(origin.root, records, "folders")


def _open_predictor(run: RunDirectory, model: Any, registry: Registry | None) -> Predictor:
    if model is None:
        return load_predictor(run.path, registry=registry)
    # Keras is in memory already.
    from tfxfer.inference.keras_model import wrap_model

    return wrap_model(model)


def find_origin(run: RunDirectory, registry: Registry | None = None) -> Origin:
    """Returns where a run's samples are and what command it came of, as far as that is known.

    Args:
        run: whose manifest can be read.
        registry: where a demo is looked up; None is what is installed.
    """
    manifest = run.read_manifest()
    try:
        request = TrainRequest.from_dict(dict(manifest.request))
    except TfxferError:
        return Origin()  # made from Python, or by another tfxfer: the page says what it does know
    modality = get_modality(manifest.modality, registry)
    demo = find_demo(request.data)
    if demo is not None:
        command = demo_command(demo, request)
        try:
            found = demo_source(demo, registry=registry)
        except (DataError, PluginError, StorageError):
            return Origin(command=command)  # its package is gone: the page has no pictures
        return Origin(
            found.source.root, list_cells(found.source), found.source, command, found.remarks
        )
    data, command = Path(request.data), write_command(request)
    root = data if data.is_dir() else data.parent
    if not root.is_dir():
        return Origin(command=command)
    try:
        cells = read_cells_of(run, modality)
    except DataError:
        return Origin(command=command)  # another table by now: the page shows no sample of it
    return Origin(root, cells, command=command)
