"""The gate's rules that a user wrote, checked against what will be measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfxfer.data.slice_table import list_columns
from tfxfer.data.sources import read_source
from tfxfer.head import Head
from tfxfer.registry.lookup import Registry, get_head, get_modality
from tfxfer.run.directory import RunDirectory
from tfxfer.trust.gate_rules import Gate, check_gate, read_gate
from tfxfer_edge.door import IMAGE
from tfxfer_edge.proof.run_images import list_run_images

__all__ = ["read_rules"]


def read_rules(
    path: str | Path,
    model: str | Path | RunDirectory,
    *,
    calibration: str | Path | None = None,
    labels: Sequence[str] | None = None,
    head: Any = None,
    registry: Registry | None = None,
) -> Gate:
    """Returns the rules of a file; imports neither Keras nor TensorFlow.

    Args:
        path: the file.
        model: a run or a model file.
        calibration: labelled images, which judge a model outside of a run.
        labels: names of its outputs.
        head: what they mean.
        registry: where plugins are looked up; None is what is installed.

    Raises:
        UsageError: a rule that cannot be meant.
        DataError: a column that the images do not have.
    """
    gate = read_gate(path)
    place = model.path if isinstance(model, RunDirectory) else Path(model)
    if (place / "run.json").is_file():
        run = RunDirectory.open(place)
        manifest = run.read_manifest()
        task = get_head(manifest.head, options=dict(manifest.head_options), registry=registry)
        names: Sequence[str] = manifest.labels
        modality = get_modality(manifest.modality, registry)
        source = list_run_images(run, modality)
    else:
        task = head if isinstance(head, Head) else get_head(head, registry=registry)
        names = labels or ()
        assert calibration is not None
        source = read_source(calibration, get_modality(IMAGE, registry))
    told = {name for record in source.records for name in task.read_label(record.label)}
    check_gate(
        gate,
        head=task,
        columns=list_columns(source.records),
        labels=(*names, *sorted(told - set(names))),
    )
    return gate
