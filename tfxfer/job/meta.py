"""The whole job of `tfxfer meta`: labelled samples become weights that learn from a few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.backbone_weights import write_backbone_weights
from tfxfer.data.arrays import Arrays, map_arrays
from tfxfer.data.feed import SplitSource
from tfxfer.data.loading import load_samples
from tfxfer.data.samples import SampleData, SampleSplit
from tfxfer.errors import DataError
from tfxfer.frontier.cut import make_suffix
from tfxfer.frontier.fill import fill_frontiers
from tfxfer.frontier.store import CacheStore
from tfxfer.job.prepare import Prepared
from tfxfer.meta.reptile import (
    Course,
    Pattern,
    Task,
    learn_to_learn,
    make_inner_optimizer,
)
from tfxfer.meta.tasks import TaskSize, check_classes, draw_task
from tfxfer.model import build_model
from tfxfer.progress import Progress
from tfxfer.stages import layers_up_to, set_trainable
from tfxfer.system.files import file_sha256
from tfxfer.training.objective import find_objective

__all__ = ["MetaResult", "learn_initialization"]

_SHOWN = 20  # losses at each end whose means tell how far it came


@dataclass(frozen=True)
class MetaResult:
    """What became of it.

    Args:
        path: of the weights.
        sha256: of that file.
        backbone: that they are for.
        size: of the input that they were learnt with.
        stage: up to which the weights are those it began with; None where all have moved.
        ways: classes of a task.
        shots: samples of each.
        iterations: tasks that were learnt.
        seconds: that they took.
        first_loss: mean over the first tasks, at the end of each.
        last_loss: mean over the last tasks.
    """

    path: str
    sha256: str
    backbone: str
    size: int
    stage: str | None
    ways: int
    shots: int
    iterations: int
    seconds: float
    first_loss: float
    last_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)


def learn_initialization(
    prepared: Prepared,
    out: str | Path,
    size: TaskSize,
    pattern: Pattern,
    *,
    deadline: float | None = None,
    progress: Progress | None = None,
    on_audit: Callable[[SampleData], None] | None = None,
) -> MetaResult:
    """Learns weights of a backbone's upper stages from which small tasks are learnt quickly.

    Everything up to the frontier of the request's second phase stays as it is, and is computed
    once for each sample. Tasks are drawn from the training split: the samples of the others are
    there to test what comes of the weights.

    Args:
        prepared: from `prepare`.
        out: file of the weights, which `--weights` takes; nothing is there before all is done.
        size: of a task.
        pattern: how weights move.
        deadline: `time.monotonic()` at which it ends.
        progress: told how far long work is.
        on_audit: gets the samples, audited and split.

    Raises:
        DataError: samples with several labels, or too few classes or samples.
        ModelError: a loss that is not finite.
    """
    request = prepared.request
    data = load_samples(
        prepared.source,
        modality=prepared.modality,
        head=prepared.head,
        size=prepared.size,
        contract=prepared.backbone.preprocessing,
        seed=request.seed,
        least_size=prepared.least_size,
        progress=progress,
    )
    if on_audit is not None:
        on_audit(data)
    classes = prepared.head.find_classes(data.train.targets)
    plural = prepared.modality.plural
    if classes is None:
        raise DataError(
            f"meta: expected {plural} of which each has one label. "
            f"Received: head={prepared.head.name!r} with others."
        )
    check_classes(classes, size, plural=plural)
    names = tuple(f"class_{number}" for number in range(size.ways))
    model = build_model(
        prepared.backbone,
        labels=names,
        head=prepared.head,
        size=data.train.size,
        weights=prepared.weights,
        seed=request.seed,
        registry=prepared.registry,
    )
    stage = prepared.schedule[-1].stage
    assert stage is None or isinstance(stage, str)
    set_trainable(model, stage)
    suffix = make_suffix(model, stage)
    with CacheStore() as store:
        read = _cache(model, data.train, stage, store, progress)
        suffix.compile(optimizer=make_inner_optimizer(pattern), loss=find_objective(model).loss())
        targets = np.asarray(prepared.head.encode(list(names), names), np.float32)

        def draw(rng: np.random.Generator) -> Task:
            rows, numbers = draw_task(classes, size, rng)
            return read(rows), targets[numbers]

        course = learn_to_learn(
            suffix, draw, pattern, seed=request.seed, deadline=deadline, progress=progress
        )
    if not course.iterations:
        raise DataError(
            "meta: expected time for one task at least. Received: a budget that was over before. "
            "Give it more: --budget"
        )
    write_backbone_weights(out, prepared.backbone.name, _list_layers(model))
    return _describe(Path(out), prepared, data, stage, size, course)


def _list_layers(model: Any) -> list[Any]:
    return [layer for layer in layers_up_to(model, BACKBONE_END) if layer.weights]


def _cache(
    model: Any,
    split: SampleSplit,
    stage: str | None,
    store: CacheStore,
    progress: Progress | None,
) -> Callable[[np.ndarray], Arrays]:
    """Returns what reads the plain samples' activations at a stage."""
    found = fill_frontiers(
        model, {"train": (SplitSource(split), 1)}, [stage], store, progress=progress
    )
    arrays = found["train"][stage]
    return lambda rows: map_arrays(lambda x: np.asarray(x[rows, 0], np.float32), arrays)


def _describe(
    out: Path,
    prepared: Prepared,
    data: SampleData,
    stage: str | None,
    size: TaskSize,
    course: Course,
) -> MetaResult:
    return MetaResult(
        path=str(out),
        sha256=file_sha256(out),
        backbone=prepared.request.backbone,
        size=data.train.size,
        stage=stage,
        ways=size.ways,
        shots=size.shots,
        iterations=course.iterations,
        seconds=course.seconds,
        first_loss=float(np.mean(course.losses[:_SHOWN])),
        last_loss=float(np.mean(course.losses[-_SHOWN:])),
    )
