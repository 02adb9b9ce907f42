"""One phase: freeze, fill the cache, compile, fit the suffix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.datasets import DatasetSource
from tfxfer.frontier.cut import make_suffix
from tfxfer.schedule import PhaseResult
from tfxfer.stages import get_info, set_trainable
from tfxfer.training.callbacks import RateLogger
from tfxfer.training.closed_form import fit_head_of_phase, quiet_about_frozen
from tfxfer.training.companion import accompany
from tfxfer.training.context import FitContext
from tfxfer.training.finite import (
    FiniteLoss,
    LossFault,
    NotFiniteError,
    describe_samples,
    find_bad_rows,
    make_error,
)
from tfxfer.training.layer_state import adapted_momentum, training_precision
from tfxfer.training.objective import build_metrics
from tfxfer.training.optimizers import make_optimizer, stage_rates
from tfxfer.training.plan import PhasePlan
from tfxfer.training.snapshot import Recorder, Snapshot, restore_snapshot
from tfxfer.training.supply import add_companions, make_phase_batches

__all__ = ["run_phase"]


def run_phase(
    context: FitContext,
    number: int,
    *,
    records: Sequence[PhaseResult],
    recorder: Recorder,
    constant_rate: bool,
    snapshot: Snapshot | None = None,
) -> dict[str, list[float]]:
    """Runs one phase and returns Keras's logs, a list per key.

    Args:
        context: of the training.
        number: of the phase in its plan.
        records: of the finished phases.
        recorder: with the callbacks whose state it records.
        constant_rate: whether a callback sets the learning rate, so that no schedule may.
        snapshot: within this phase, to go on from; the model holds its best weights.

    Raises:
        RunError: the snapshot is of another network.
        NotFiniteError: the loss is not finite.
        DataError: a sample cannot be read any more.
    """
    item, phase = context.plan.phases[number], context.plan.phases[number].phase
    average, best, bridge, pace = recorder.average, recorder.best, recorder.bridge, recorder.pace
    model = context.model
    first_epoch = sum(record.epochs for record in records)
    progress = None if snapshot is None else snapshot.progress
    next_epoch = first_epoch + (0 if progress is None else progress.epochs)
    stage = item.cut if item.cached else item.stage
    recorder.start_phase(phase.name, records, progress)
    set_trainable(model, item.stage, batch_norm=phase.batch_norm)
    draw = context.draw(item, first_epoch)
    if item.cached:
        # Epochs that a budget adds draw what the first ones drew.
        begin = next_epoch if pace.end is None else first_epoch
        # Whatever is drawn more often, a head that is computed stands on each sample once.
        drawn = replace(draw, oversampled=None) if item.closed_form else draw
        context.activations.complete_phase(
            number,
            draw=drawn,
            epochs=range(begin, first_epoch + phase.epochs),
            beside=context.draw_beside(item, first_epoch, draw.steps),
        )
        is_begun = progress is not None
        if context.on_features and number == 0 and stage == BACKBONE_END and not is_begun:
            context.on_features(*context.activations.average(stage))
    if item.closed_form:
        fit_head_of_phase(model, item, context.activations, context.train.targets)
        # Scores before it are of a layer that this one takes the place of.
        best.forget()
    begins_after = stage if item.cached else None
    suffix = make_suffix(model, begins_after)
    if context.wrap is not None:
        suffix = context.wrap(suffix, begins_after)
    train, val = make_phase_batches(context, item, stage, first_epoch, next_epoch)
    own_train = train
    if context.companion is not None and item.trains_backbone:
        if not any(before.trains_backbone for before in context.plan.phases[:number]):
            # Validation is of the training's own samples, and would go back to a network that has
            # heard of no companion.
            best.forget()
        suffix = accompany(model, begins_after, context.companion)
        train = add_companions(context, number, train, stage, first_epoch, next_epoch)
    objective = context.objective
    optimizer = make_optimizer(
        model,
        phase,
        steps_per_epoch=len(train),
        constant_rate=constant_rate or pace.end is not None,
        pattern=objective.optimizer,
    )
    _reseed_dropout(model, context.seed, number)
    for network in {id(model): model, id(suffix): suffix}.values():
        network.compile(
            optimizer=optimizer,
            loss=objective.loss(),
            metrics=objective.metrics(),
            jit_compile=context.device.jit_compile,
            **objective.options,
        )
    build_metrics(model, context.targets[0][:1])
    average.start_phase(len(train) * phase.epochs if phase.average else None)
    pace.start_phase(phase, steps=len(train), first_epoch=first_epoch, sets_rate=not constant_rate)
    best.start_phase(phase.name, phase.patience)
    guard = FiniteLoss()
    later = context.plan.epochs_after(number)
    bridge.start_phase(
        lambda: {
            "epochs": first_epoch + pace.epochs + later,
            "steps": len(train),
            "verbose": 0,
            "phase": phase.name,
            "phase_first_epoch": first_epoch,
            "phase_epochs": pace.epochs,
            "best_epoch": best.epoch,
        },
        phase.name,
    )
    if snapshot is not None:
        restore_snapshot(snapshot, suffix, average=average, best=best, bridge=bridge, pace=pace)
    with (
        quiet_about_frozen(is_frozen=item.closed_form),
        training_precision(model, context.device.precision),
        adapted_momentum(model, steps_per_epoch=len(train)),
    ):
        try:
            result = suffix.fit(
                train,
                validation_data=val,
                initial_epoch=next_epoch,
                epochs=first_epoch + pace.most_epochs,
                shuffle=False,
                verbose=context.verbose,
                callbacks=[
                    keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: train.start_epoch(epoch)
                    ),
                    average,
                    RateLogger(_rated_stages(context)),
                    bridge,
                    best,
                    pace,
                    guard,
                    recorder,
                ],
            )
        except Exception as error:
            # TensorFlow, in which batches are read, makes an error of its own of every other.
            for failure in (train.failure, val.failure):
                if failure is not None and failure is not error:
                    raise failure from error
            raise
    earlier = {} if progress is None else progress.history
    logs = {
        key: [*earlier.get(key, ()), *map(float, values)] for key, values in result.history.items()
    }
    # A callback that noticed it has ended the phase, and there is an epoch to go on from.
    is_noticed = bridge.ended_phase and best.best is not None
    if guard.fault is not None and not is_noticed:
        raise _explain_fault(context, item, guard.fault, (own_train, val), first_epoch, best, logs)
    return logs


def _explain_fault(
    context: FitContext,
    item: PhasePlan,
    fault: LossFault,
    batches: tuple[Any, Any],
    first_epoch: int,
    best: Any,
    logs: dict[str, list[float]],
) -> NotFiniteError:
    is_val = fault.part == "val"
    source, chosen = (context.val if is_val else context.train), batches[is_val]
    indices, bad = None, []
    # Of a stream nobody knows which samples a batch has; of what is drawn it is read again.
    if item.cached or not isinstance(source, DatasetSource):
        draw = context.draw_val() if is_val else context.draw(item, first_epoch)
        order, size = draw.epoch(fault.epoch)[0], context.batch_size
        indices = order[fault.first * size : (fault.last + 1) * size]
        if fault.first == fault.last:
            bad = find_bad_rows(chosen[fault.first])
    count = fault.epoch - first_epoch
    return make_error(
        fault,
        phase=item.phase.name,
        rate=logs["learning_rate"][-1],
        steps=len(chosen),
        samples=describe_samples(source, indices, bad),
        kept=None if best.best is None else best.epoch,
        logs={key: values[:count] for key, values in logs.items()},
    )


def _rated_stages(context: FitContext) -> list[str]:
    """Returns the stages that have a learning rate of their own in any phase."""
    stages = [stage.name for stage in get_info(context.model).stages[:-1]]
    rated = {
        stage
        for item in context.plan.phases
        if item.phase.stage_decay < 1
        for stage in stage_rates(item.phase, stages)
    }
    return [stage for stage in stages if stage in rated]


def _reseed_dropout(model: Any, seed: int, phase: int) -> None:
    """Lets a phase draw the same dropout whether or not an earlier process ran those before."""
    states = [item for item in model.variables if "seed_generator_state" in item.path]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, phase, number]).generate_state(2))
