"""The search for labels that look wrong: features of all samples, then a probe for each fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfxfer.data.columns import Columns
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData
from tfxfer.data.sources import read_source
from tfxfer.errors import DataError, RunError, UsageError
from tfxfer.inference.embedding import embed
from tfxfer.model import build_model
from tfxfer.progress import Progress
from tfxfer.registry.lookup import Registry, get_head
from tfxfer.run.directory import RunDirectory
from tfxfer.run.seals import check_sealed
from tfxfer.stages import get_info
from tfxfer.system.arguments import check_kind, check_number
from tfxfer.trust.label_errors import (
    LabelError,
    judge_labels,
    list_classes,
    read_label_errors,
)
from tfxfer.trust.subject import open_run_subject

if TYPE_CHECKING:
    import keras

__all__ = ["find_label_errors", "list_groups"]


def find_label_errors(
    model: keras.Model | str | Path | RunDirectory,
    data: SampleData | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    registry: Registry | None = None,
) -> tuple[LabelError, ...]:
    """Returns the labels that look wrong, the likeliest error first.

    A linear probe on the backbone's features judges each sample; it has seen neither that sample
    nor any that is nearly the same. Seconds for thousands of samples, beside one pass of the
    backbone.

    Args:
        model: from `build_model`, with pretrained weights: one that was trained on these labels has
            learnt the wrong ones, too. Or a run: what its training found is read, or found with
            the weights that it began with.
        data: what `load_images` returns; of a run what it was trained on.
        seed: of the folds.
        progress: told of samples done.
        registry: where a run's backbone and head come from; None is what is installed.

    Raises:
        UsageError: a model without data, or a seed that is no whole number.
        DataError: labels that do not exclude each other, or too few samples of them.
        RunError: a run without its split, or one that began with random weights.
        WeightsError: the weights that a run began with are no longer there, or are others.

    Example:
        model = tfxfer.build_model("efficientnet_lite0", labels=data.labels)
        for error in tfxfer.find_label_errors(model, data)[:20]:
            print(error.path, error.label, error.suggested, error.margin)

    Source:
        Northcutt et al. 2021, https://arxiv.org/abs/1911.00068; see `docs/label_errors.md`.
    """
    check_number(seed, where="find_label_errors", name="seed", least=0)
    if isinstance(model, (str, Path)):
        model = RunDirectory.open(model)
    if isinstance(model, RunDirectory):
        if data is None and model.label_errors_path.is_file():
            return read_label_errors(model.label_errors_path)
        model, data = _open_run(model, data, progress, registry)
    check_kind(
        data,
        SampleData,
        where="find_label_errors",
        name="data",
        expected="what tfxfer.load_images returns",
        error=UsageError,
    )
    assert data is not None
    parts = [part for part in (data.train, data.val, data.test) if len(part)]
    head = get_info(model).head
    list_classes(parts, head)  # refused before the pass through the backbone, which is long
    features = embed(model, data, progress=progress)
    return judge_labels(features, parts, head=head, groups=list_groups(data), seed=seed)


def list_groups(
    data: SampleData, *, parts: tuple[str, ...] = ("train", "val", "test")
) -> list[str]:
    """Returns the group of each sample, one part after the other: near copies share one."""
    group_of = {row.path: row.group for row in data.rows}
    return [group_of[path] for name in parts for path in getattr(data, name).paths]


def _open_run(
    run: RunDirectory,
    data: SampleData | None,
    progress: Progress | None,
    registry: Registry | None,
) -> tuple[keras.Model, SampleData]:
    """Returns the network that a run began with, and the samples that it was trained on."""
    where = f"run {str(run.path)!r}"
    subject = open_run_subject(run, registry=registry)
    if subject.weights.sha256 is None:
        raise RunError(
            f"{where}: expected a run that began with pretrained weights, whose features tell "
            f"classes apart. Received: weights={subject.weights.source!r}."
        )
    manifest = run.read_manifest()
    head = get_head(manifest.head, options=dict(manifest.head_options), registry=registry)
    if data is None:
        if not run.split_path.is_file():
            raise RunError(f"{where}: expected its split.csv. Received: a run without one.")
        place = str(manifest.request.get("data", ""))
        if not Path(place).exists():  # moved, or known to a command alone, as that of the demo
            raise DataError(
                f"{where}: expected the samples that it was trained on at {place!r}. Received: "
                "nothing at that path. Give them: data=tfxfer.load_images(…)."
            )
        columns = Columns.of_request(manifest.request)
        data = load_samples(
            read_source(place, subject.modality, columns, progress=progress),
            modality=subject.modality,
            head=head,
            size=subject.size,
            contract=subject.contract,
            labels=manifest.labels,
            split_file=check_sealed(run, run.split_path),
            progress=progress,
        )
    model = build_model(
        subject.backbone, labels=data.labels, head=head, size=data.train.size,
        weights=subject.weights, targets=data.train.targets, registry=registry,
    )  # fmt: skip
    return model, data
