"""One phase: freeze, fill the cache, compile, fit the suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.backbone import BACKBONE_END
from tfxfer.data.datasets import DatasetSource
from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SampleSource
from tfxfer.data.trimming import Trimming
from tfxfer.device import Device
from tfxfer.frontier.cut import find_trimming, make_suffix
from tfxfer.schedule import PhaseResult
from tfxfer.stages import get_info, set_trainable
from tfxfer.training.activations import Activations, Reader
from tfxfer.training.batches import Change, make_batches, stream_batches
from tfxfer.training.callbacks import RateLogger
from tfxfer.training.finite import (
    FiniteLoss,
    LossFault,
    NotFiniteError,
    describe_samples,
    find_bad_rows,
    make_error,
)
from tfxfer.training.layer_state import adapted_momentum, training_precision
from tfxfer.training.objective import Objective, build_metrics
from tfxfer.training.optimizers import make_optimizer, stage_rates
from tfxfer.training.plan import FitPlan, PhasePlan
from tfxfer.training.snapshot import Recorder, Snapshot, restore_snapshot
from tfxfer.training.weighting import Balance

__all__ = ["FitContext", "run_phase"]


@dataclass(frozen=True, eq=False)
class FitContext:
    """Everything the phases of one `fit` share.

    Args:
        targets: of the training and the validation samples, as the loss takes them.
        on_features: see `Control`.
        wrap: see `Control`.
        change: see `Control`.
    """

    model: Any
    train: SampleSource
    val: SampleSource
    plan: FitPlan
    activations: Activations
    batch_size: int
    seed: int
    objective: Objective
    targets: tuple[np.ndarray, np.ndarray]
    balance: Balance
    device: Device
    verbose: Any
    on_features: Callable[[np.ndarray, np.ndarray], None] | None = None
    wrap: Callable[[Any, str | None], Any] | None = None
    change: Callable[[Any, str | None], Change | None] | None = None

    def draw(self, item: PhasePlan, first_epoch: int) -> EpochDraw:
        """Returns which training samples a phase sees when."""
        return EpochDraw(
            len(self.train), item.views, self.batch_size, self.seed, self.balance.oversampled,
            cycle=(first_epoch, item.phase.epochs), lengths=self.train.lengths,
        )  # fmt: skip

    def draw_val(self) -> EpochDraw:
        """Returns that every epoch sees all validation samples, in their order."""
        return EpochDraw(len(self.val), 1, self.batch_size, self.seed, shuffle=False)


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
    if item.cached:
        # Epochs that a budget adds draw what the first ones drew.
        begin = next_epoch if pace.end is None else first_epoch
        epochs = range(begin, first_epoch + phase.epochs)
        context.activations.complete_phase(
            number, draw=context.draw(item, first_epoch), epochs=epochs
        )
        is_begun = progress is not None
        if context.on_features and number == 0 and stage == BACKBONE_END and not is_begun:
            context.on_features(*context.activations.average(stage))
    suffix = make_suffix(model, stage) if item.cached else model
    if context.wrap is not None:
        suffix = context.wrap(suffix, stage if item.cached else None)
    train, val = _batches(context, item, stage, first_epoch, next_epoch)
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
        raise _explain_fault(context, item, guard.fault, (train, val), first_epoch, best, logs)
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


def _batches(
    context: FitContext, item: PhasePlan, stage: str | None, first_epoch: int, next_epoch: int
) -> tuple[Any, Any]:
    plain = context.draw_val()
    readers: tuple[Reader, ...] = context.train.read, context.val.read
    change = None
    if item.cached and context.change is not None:
        change = context.change(context.model, stage)
    trimming = find_trimming(context.model, stage, is_cached=item.cached)
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


def _reseed_dropout(model: Any, seed: int, phase: int) -> None:
    """Lets a phase draw the same dropout whether or not an earlier process ran those before."""
    states = [item for item in model.variables if "seed_generator_state" in item.path]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, phase, number]).generate_state(2))
