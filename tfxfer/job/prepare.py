"""A request → everything it names, found and checked once, before Keras starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tfxfer.backbone import BACKBONE_END, Backbone, check_size
from tfxfer.data.columns import Columns
from tfxfer.data.labels import read_labels
from tfxfer.data.record import Source
from tfxfer.data.slice_table import add_slices, check_columns, list_columns
from tfxfer.data.sources import read_source
from tfxfer.data.table import read_split_table
from tfxfer.errors import RunError, UsageError
from tfxfer.head import Head
from tfxfer.job.demo import stored_source
from tfxfer.job.domain_source import find_domain_column, leave_out_domain
from tfxfer.job.earlier import EarlierRun, add_samples, complete_request, open_earlier
from tfxfer.job.head_request import check_classes_left, check_head
from tfxfer.job.request import TrainRequest
from tfxfer.job.shots import Shots, choose_shots
from tfxfer.job.style_choice import list_style
from tfxfer.job.target import list_target
from tfxfer.modality import Modality
from tfxfer.progress import Progress
from tfxfer.registry.lookup import default_registry
from tfxfer.run.directory import RunDirectory
from tfxfer.run.manifest import plugin_versions
from tfxfer.run.seals import check_sealed
from tfxfer.schedule import Phase, resolve_schedule
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.weights import ResolvedWeights, resolve_weights

if TYPE_CHECKING:
    from tfxfer.registry.lookup import Registry

__all__ = ["Prepared", "check_apart", "check_place", "find_earlier_split", "prepare"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a request names.

    Args:
        request: with absolute paths, and the names of what was chosen by default.
        backbone: an instance.
        head: an instance.
        modality: of the backbone.
        size: of the input, in the modality's unit: what the request names, or the backbone's own,
            until the samples have been read, which may ask for a smaller one.
        schedule: with every stage a name or None.
        weights: found and hashed.
        source: the samples, listed but not opened.
        plugins: versions of the distributions that brought these, by name.
        registry: where they came from.
        target: the samples of the look that counts, listed but not opened; None where that is the
            look of `source`.
        style: the samples whose look others are given, listed but not opened; None where all keep
            their own.
        earlier: the run whose model is trained on; None begins with the weights.
        shots: what so few samples call for; None where they are many.
        domain: the slice that says where a sample is from; None where that is one place.
    """

    request: TrainRequest
    backbone: Backbone
    head: Head
    modality: Modality
    size: int
    schedule: tuple[Phase, ...]
    weights: ResolvedWeights
    source: Source
    plugins: dict[str, str]
    registry: Registry
    target: Source | None = None
    style: Source | None = None
    earlier: EarlierRun | None = None
    shots: Shots | None = None
    domain: str | None = None

    @property
    def least_size(self) -> int | None:
        """How small an input may be that the samples settle; None where the request names one."""
        return self.backbone.min_size if self.request.size is None else None

    def at_size(self, size: int) -> Self:
        """Returns the same for inputs of a size, such as what the samples asked for."""
        return replace(self, size=size)

    def list_sizes(self) -> tuple[int, ...]:
        """Returns the sizes that phases under a budget may have, the model's own first."""
        if self.request.size is not None:
            return (self.size,)
        smaller = self.modality.list_smaller_sizes(self.size)
        return (self.size, *(size for size in smaller if size >= self.backbone.min_size))


def prepare(
    request: TrainRequest,
    *,
    source: Source | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Returns what a request names; starts neither Keras nor TensorFlow, but for a download.

    Args:
        request: what to train.
        source: samples listed already; None lists `request.data`.
        registry: where plugins are looked up; None is what is installed.
        progress: told of a table's rows.

    Raises:
        SetupError: another project's settings make Keras another one.
        TfxferError: something in it cannot be meant, whatever the samples are.
    """
    check_keras_settings()
    registry = registry or default_registry()
    request.make_schedule()  # refuses options that it does not use
    if request.cache_dir is not None and not Path(request.cache_dir).is_dir():
        raise UsageError(
            f"--cache-dir: expected a folder. Received: {request.cache_dir!r}. Make it first."
        )
    if request.budget_seconds is not None and not request.cache:
        raise UsageError(
            "--budget: expected cached activations, which make times predictable. "
            "Received: --no-cache. Leave one of them out."
        )
    shots = None
    earlier = open_earlier(request, registry)
    if earlier is not None:
        request = complete_request(request, earlier)
    backbone = registry.load_backbone(request.backbone)
    modality = registry.load_modality_of(backbone)
    if request.shots == "auto":
        source = source or _read_source(request, modality, registry, progress)
        request, shots = choose_shots(request, source.records, backbone.fine_tuning, registry)
    head_name = registry.default("head") if request.head is None else request.head
    head = registry.load_head(head_name, **(request.head_options or {}))
    modality.check_contract(backbone.preprocessing)
    augment = request.augment or backbone.fine_tuning.augment or modality.default_level
    modality.complete_options(augment, request.view_options)
    check_head(request, head)
    target = _find_target(request, head, modality)
    style = list_style(request, modality, augment)
    stages = [*(stage.name for stage in backbone.stages), BACKBONE_END]
    schedule = request.make_schedule(backbone.fine_tuning)
    resolved = resolve_schedule(schedule, stages, backbone=request.backbone)
    size = check_size(backbone, request.size, modality.size_unit)
    # Before the weights, which may have to be downloaded.
    source = source or _read_source(request, modality, registry, progress)
    if request.shots != "auto" and earlier is None:
        _, shots = choose_shots(request, source.records, backbone.fine_tuning, registry)
    if request.slices is not None:
        source = add_slices(source, request.slices, plural=modality.plural)
    if earlier is not None:
        # Told now: a label that is none, or that the run has in another spelling.
        head.extend_labels(earlier.manifest.labels, [record.label for record in source.records])
        source = add_samples(source, earlier, request, head)
        check_classes_left(request, head, earlier, source)
        if request.keep == "ewc":
            earlier.check_fisher()
        if request.keep == "statistics":
            earlier.check_statistics()
    if request.fair is not None and request.slice is not None:
        request = replace(request, slice=_find_column(request.slice, source, head))
    meanings = read_labels(source, head, modality)
    domain = find_domain_column(request, source, modality, meanings)
    source = leave_out_domain(source, request, domain)
    if "scratch" in request.baselines:
        resolve_weights(backbone, None)  # refused where it cannot do without its own
    weights = _find_weights(backbone, request, earlier)
    if earlier is not None and request.replay and request.balance == "none" and head.can_balance:
        # The few that are kept would else be outnumbered by the new ones in every batch.
        request = replace(request, balance="oversample")
    return Prepared(
        request=replace(
            request.with_absolute_paths(backbone.weights), head=head_name, augment=augment
        ),
        backbone=backbone,
        head=head,
        modality=modality,
        size=size,
        schedule=resolved,
        weights=weights,
        source=source,
        plugins=plugin_versions(
            registry.list(),
            {"backbone": request.backbone, "head": head_name, "modality": modality.name},
        ),
        registry=registry,
        target=target,
        style=style,
        earlier=earlier,
        shots=shots,
        domain=domain,
    )


def _read_source(
    request: TrainRequest, modality: Modality, registry: Registry, progress: Progress | None
) -> Source:
    columns = replace(Columns.of_request(vars(request)), are_remembered=False)
    stored = stored_source(request.data, registry)
    return stored or read_source(request.data, modality, columns, progress=progress)


def _find_target(request: TrainRequest, head: Head, modality: Modality) -> Source | None:
    """Returns the samples of `--target`, of a head that can be fitted to them."""
    if request.target is None:
        return None
    if head.linear_end() is None:
        raise UsageError(
            "--target: expected a head whose last layer can be fitted to another look. "
            f"Received: head={head.name!r}. Leave it out."
        )
    if not modality.reads_files:
        raise UsageError(
            f"--target: expected {modality.plural} that are files. Received: {modality.name}, "
            "which reads none. Leave it out."
        )
    return list_target(request.target, request.data, modality)


def _find_weights(
    backbone: Backbone, request: TrainRequest, earlier: EarlierRun | None
) -> ResolvedWeights:
    """Returns what the backbone is built with; an earlier run's own are copied into it."""
    if earlier is None:
        return resolve_weights(backbone, request.weights)
    used, sha256 = earlier.manifest.weights, earlier.manifest.sha256.get("model.keras")
    licence = None if used is None else used.licence
    path = None
    if not backbone.random_weights:  # then the graph itself is read from them
        path = resolve_weights(backbone, request.weights).path
    return ResolvedWeights(f"run {earlier.run.path.absolute()}", path, sha256, licence)


def _find_column(name: str, source: Source, head: Head) -> str:
    """Returns the column of `--slice`, as the data writes it."""
    if not head.can_balance:
        raise UsageError(
            f"--fair: expected a head whose answers are labels. Received: head={head.name!r}. "
            "Leave it out."
        )
    (found,) = check_columns([name], list_columns(source.records), where="--slice")
    return found


def find_earlier_split(run: str | Path | None) -> Path | None:
    """Returns the table of the split that a new run is to follow; None where it follows none.

    Args:
        run: what `--split-from` names.

    Raises:
        RunError: no run there, one without a split, or with another than it was trained on.
        DataError: its table cannot be read.
    """
    if run is None:
        return None
    earlier = RunDirectory.open(run)
    if not earlier.split_path.is_file():
        raise RunError(
            f"--split-from {str(run)!r}: expected a run with its split.csv. Received: a run "
            "without one. Leave --split-from out."
        )
    read_split_table(check_sealed(earlier, earlier.split_path))
    return earlier.split_path


def check_apart(request: TrainRequest, out: str | Path) -> None:
    """Refuses to write a run over the one that it goes on from.

    Raises:
        UsageError: both are at one place.
    """
    if request.from_run is not None and Path(request.from_run).resolve() == Path(out).resolve():
        raise UsageError(
            "training: expected another --out than the run of --from, which it is compared with. "
            f"Received: {str(out)[:200]!r} for both."
        )


def check_place(out: str | Path, *, overwrite: bool = False) -> None:
    """Refuses a place where no run can be made.

    Raises:
        RunError: it holds something, or cannot be written.
    """
    out = Path(out)
    shown = f"cannot make a run at {str(out)[:200]!r}"
    try:
        RunDirectory.check_free(out, overwrite=overwrite)
        above = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    except RunError:
        raise
    except OSError as error:
        raise RunError(
            f"{shown}: expected a folder that can be read. Received: {error.strerror}. "
            "Choose another --out."
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        what = "a folder that you may not write to" if above.is_dir() else "a file"
        raise RunError(
            f"{shown}: expected a folder that can be written. Received: {str(above)!r}, {what}. "
            "Choose another --out."
        )
