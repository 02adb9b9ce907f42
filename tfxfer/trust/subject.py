"""A backbone as its pretrained weights came, whatever a training has made of it since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfxfer.backbone import Backbone, check_size
from tfxfer.data.columns import Columns
from tfxfer.data.record import Source
from tfxfer.data.sources import read_source
from tfxfer.data.table import read_split_table
from tfxfer.errors import DataError, RunError, WeightsError
from tfxfer.modality import Modality
from tfxfer.registry.lookup import default_registry
from tfxfer.run.assets import read_run_contract
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.weights import DEFAULT_WEIGHTS, ResolvedWeights, resolve_weights

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["Subject", "open_run_subject", "open_subject", "read_run_source"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured, found but not built: neither Keras nor TensorFlow has started.

    Args:
        backbone: an instance.
        weights: found and hashed.
        size: of the input, in the modality's unit.
        modality: of the backbone.
        contract: what the weights expect of raw values.
        registry: where they came from.
    """

    backbone: Backbone
    weights: ResolvedWeights
    size: int
    modality: Modality
    contract: Any
    registry: Registry

    def build(self) -> Any:
        """Returns a `keras.Model` of the backbone; its head means nothing."""
        from tfxfer.model import build_model

        return build_model(
            self.backbone,
            labels=("one", "other"),
            size=self.size,
            weights=self.weights,
            registry=self.registry,
        )


def open_subject(
    backbone: str,
    *,
    weights: str | Path | None = DEFAULT_WEIGHTS,
    size: int | None = None,
    registry: Registry | None = None,
) -> Subject:
    """Returns a backbone with its weights.

    Args:
        backbone: name of an installed one.
        weights: `default`, a named source, a path, or `none`.
        size: of the input, in the modality's unit; None is the backbone's own.
        registry: where it is looked up; None is what is installed.

    Raises:
        PluginError: an unknown or broken plugin.
        WeightsError: no such weights.
        ModelError: a size that is too small.
    """
    registry = registry or default_registry()
    found = registry.load_backbone(backbone)
    modality = registry.load_modality_of(found)
    modality.check_contract(found.preprocessing)
    size = check_size(found, size, modality.size_unit)
    resolved = resolve_weights(found, weights)
    return Subject(found, resolved, size, modality, found.preprocessing, registry)


def open_run_subject(run: RunDirectory, *, registry: Registry | None = None) -> Subject:
    """Returns the backbone that a run began with, and reads samples as the run does.

    Fine-tuning changes the kernels and leaves the statistics of BatchNormalization as they are: in
    the run's own model the two no longer belong together.

    Raises:
        RunError: a run that does not say what it began with.
        WeightsError: its weights are no longer there, or are others.
        PluginError: its backbone is not installed.
    """
    manifest = run.read_manifest()
    earlier = manifest.request.get("from_run")
    if earlier is not None:
        # What it went on from had been trained: pretrained weights are those the first run had.
        return open_run_subject(RunDirectory.open(str(earlier)), registry=registry)
    used = manifest.weights
    if used is None or manifest.preprocessing is None or manifest.size is None:
        raise RunError(
            f"run {str(run.path)!r}: expected one that names its weights. Received: "
            f"status={manifest.status!r}. Go on with it: tfxfer train --resume --out {run.path}"
        )
    registry = registry or default_registry()
    known = registry.load_backbone(manifest.backbone).weights
    # Of a user's file the run keeps the absolute path in what it was asked for.
    asked = str(manifest.request.get("weights", used.source))
    request = used.source if used.source in known or asked == DEFAULT_WEIGHTS else asked
    subject = open_subject(
        manifest.backbone, weights=request, size=manifest.size, registry=registry
    )
    if subject.weights.sha256 != used.sha256:
        raise WeightsError(
            f"run {str(run.path)!r}: expected the weights that it began with, sha256 "
            f"{used.sha256}. Received: {subject.weights.sha256} from {request!r}."
        )
    contract = read_run_contract(run, subject.modality)
    return replace(subject, contract=contract)


def read_run_source(run: RunDirectory, modality: Modality, source: Source | None = None) -> Source:
    """Returns the samples that a run used, of all its parts.

    Args:
        run: the run.
        modality: of its backbone.
        source: its data, where the run names no path, as that of the demo; None reads the path.

    Raises:
        DataError: the data is no longer there.
    """
    request = run.read_manifest().request
    data = str(request.get("data", ""))
    if source is None:
        source = read_source(data, modality, Columns.of_request(request))
    if not run.split_path.is_file():
        return source
    used = {row.path for row in read_split_table(check_sealed(run, run.split_path))}
    records = tuple(record for record in source.records if record.path in used)
    if not records:
        raise DataError(
            f"run {str(run.path)!r}: expected the {modality.plural} of its split.csv in {data!r}. "
            "Received: none of them. Were they moved?"
        )
    return replace(source, records=records)
