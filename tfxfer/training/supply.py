"""The batches of a phase: of cached activations, of samples, or of a user's own dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfxfer.data.datasets import DatasetSource
from tfxfer.data.trimming import Trimming
from tfxfer.frontier.cut import find_trimming
from tfxfer.training.activations import Reader
from tfxfer.training.batches import accompany_batches, make_batches, stream_batches
from tfxfer.training.companion import find_progress
from tfxfer.training.context import FitContext
from tfxfer.training.plan import PhasePlan

__all__ = ["add_companions", "make_phase_batches"]


def make_phase_batches(
    context: FitContext, item: PhasePlan, stage: str | None, first_epoch: int, next_epoch: int
) -> tuple[Any, Any]:
    """Returns the batches of training and of validation.

    Args:
        context: of the training.
        item: the phase.
        stage: where its samples are cached, if they are.
        first_epoch: of the phase.
        next_epoch: that comes next.
    """
    plain = context.draw_val()
    readers: tuple[Reader, ...] = context.train.read, context.val.read
    change = None
    if item.cached and context.change is not None:
        change = context.change(context.model, stage)
    trimming = find_trimming(context.model, stage, is_cached=item.cached)
    if context.companion is not None and item.trains_backbone:
        trimming = None  # both pass in one batch, and are of one length
    if item.cached:
        readers = context.activations.readers(stage, trimming)
    elif trimming is not None:
        readers = tuple(_trim(read, trimming) for read in readers)
    if item.cached or not isinstance(context.train, DatasetSource):
        train = make_batches(
            readers[0],
            context.draw(item, first_epoch),
            context.targets[0],
            sample_weights=context.balance.weights,
            first_epoch=next_epoch,
            trimming=trimming,
            change=change,
        )
    else:
        train = _stream(context, context.train, context.balance.weigh)
    if item.cached or not isinstance(context.val, DatasetSource):
        val = make_batches(
            readers[1],
            plain,
            context.targets[1],
            sample_weights=context.val.sample_weights,
            trimming=trimming,
        )
    else:
        val = _stream(context, context.val, lambda targets, own: own)
    return train, val


def add_companions(
    context: FitContext,
    number: int,
    train: Any,
    stage: str | None,
    first_epoch: int,
    next_epoch: int,
) -> Any:
    """Returns the batches of a phase with companions in each.

    Args:
        context: of the training, which has companions.
        number: of the phase in its plan.
        train: its batches without them.
        stage: where its samples are cached, if they are.
        first_epoch: of the phase.
        next_epoch: that comes next.
    """
    item, source = context.plan.phases[number], context.beside
    draw = context.draw_beside(item, first_epoch, len(train))
    assert source is not None
    assert draw is not None
    count_progress = find_progress(context.plan, number)
    return accompany_batches(
        train,
        context.activations.read_beside(stage) if item.cached else source.read,
        draw,
        source.targets,
        source.sample_weights,
        progress=lambda epoch, batch: count_progress(epoch - first_epoch + batch / len(train)),
        first_epoch=next_epoch,
    )


def _trim(read: Reader, trimming: Trimming) -> Reader:
    return lambda indices, views: trimming.trim(read(indices, views))


def _stream(
    context: FitContext,
    source: DatasetSource,
    weigh: Callable[[np.ndarray, np.ndarray | None], np.ndarray | None],
) -> Any:
    model, objective = context.model, context.objective

    def adapt(targets: np.ndarray) -> np.ndarray:
        return objective.adapt_targets(model, targets)

    return stream_batches(
        source,
        dtypes=[str(tensor.dtype) for tensor in model.inputs],
        encode=lambda targets: objective.encode_targets(adapt(targets)),
        weigh=lambda targets, own: weigh(adapt(targets), own),
    )
