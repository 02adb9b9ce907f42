"""One phase: freeze, fill the cache, compile, fit the suffix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfxfer.data.draw import EpochDraw
from tfxfer.data.feed import SampleSource
from tfxfer.device import Device
from tfxfer.errors import ModelError
from tfxfer.frontier.cut import make_suffix
from tfxfer.stages import get_info, set_trainable
from tfxfer.training.activations import Activations, Reader
from tfxfer.training.batches import make_batches
from tfxfer.training.callbacks import RateLogger
from tfxfer.training.layer_state import adapted_momentum, training_precision
from tfxfer.training.optimizers import make_optimizer, stage_rates
from tfxfer.training.plan import FitPlan, PhasePlan

__all__ = ["Balance", "FitContext", "run_phase"]


@dataclass(frozen=True, eq=False)
class Balance:
    """How much each training sample counts.

    Args:
        weights: of its loss, (samples,); None where all are equal.
        oversampled: 0 and 1, (samples, groups): rare groups are drawn more often; None draws each
            sample once an epoch.
    """

    weights: np.ndarray | None = None
    oversampled: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FitContext:
    """Everything the phases of one `fit` share."""

    model: Any
    train: SampleSource
    val: SampleSource
    plan: FitPlan
    activations: Activations
    batch_size: int
    seed: int
    balance: Balance
    device: Device
    verbose: Any

    def draw(self, item: PhasePlan, first_epoch: int) -> EpochDraw:
        """Returns which training samples a phase sees when."""
        return EpochDraw(
            len(self.train), item.views, self.batch_size, self.seed, self.balance.oversampled,
            cycle=(first_epoch, item.phase.epochs),
        )  # fmt: skip


def run_phase(
    context: FitContext,
    number: int,
    *,
    first_epoch: int,
    callbacks: tuple[Any, Any, Any, Any],
    constant_rate: bool,
) -> dict[str, list[float]]:
    """Runs one phase and returns Keras's logs, a list per key.

    Args:
        context: of the training.
        number: of the phase in its plan.
        first_epoch: counted through all phases.
        callbacks: averaging, best weights, bridge to the user's callbacks, pace.
        constant_rate: whether a callback sets the learning rate, so that no schedule may.

    Raises:
        ModelError: the loss is not finite.
    """
    item, phase = context.plan.phases[number], context.plan.phases[number].phase
    average, best, bridge, pace = callbacks
    model = context.model
    stage = item.stage
    set_trainable(model, stage, batch_norm=phase.batch_norm)
    if item.cached:
        epochs = range(first_epoch, first_epoch + phase.epochs)
        context.activations.complete_phase(
            number, draw=context.draw(item, first_epoch), epochs=epochs
        )
    suffix = make_suffix(model, stage) if item.cached else model
    train, val = _batches(context, item, stage, first_epoch)
    optimizer = make_optimizer(
        model,
        phase,
        steps_per_epoch=len(train),
        constant_rate=constant_rate or pace.end is not None,
    )
    _reseed_dropout(model, context.seed, number)
    head = get_info(model).head
    for network in {id(model): model, id(suffix): suffix}.values():
        network.compile(
            optimizer=optimizer,
            loss=head.loss(),
            metrics=head.metrics(),
            jit_compile=context.device.jit_compile,
        )
    _build_metrics(model, context.train.targets[:1])
    average.start_phase(len(train) * phase.epochs if phase.average else None)
    pace.start_phase(phase, steps=len(train), first_epoch=first_epoch, sets_rate=not constant_rate)
    best.start_phase(phase.name, phase.patience)
    bridge.start_phase(len(train))
    with (
        training_precision(model, context.device.precision),
        adapted_momentum(model, steps_per_epoch=len(train)),
    ):
        result = suffix.fit(
            train,
            validation_data=val,
            initial_epoch=first_epoch,
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
            ],
        )
    logs = {key: [float(x) for x in values] for key, values in result.history.items()}
    if not np.isfinite(logs["loss"][-1]):
        raise ModelError(
            f"phase {phase.name!r}: expected a finite loss. Received: loss={logs['loss'][-1]}. "
            f"Lower the learning rate, {phase.learning_rate:g}, or check the targets."
        )
    return logs


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


def _build_metrics(model: Any, targets: np.ndarray) -> None:
    """Lets a callback of mode `auto` find the direction of a metric.

    Keras builds metrics at the first step, which only the suffix takes.
    """
    model.compute_metrics(None, targets, targets)
    model.reset_metrics()


def _batches(
    context: FitContext, item: PhasePlan, stage: str | None, first_epoch: int
) -> tuple[Any, Any]:
    plain = EpochDraw(len(context.val), 1, context.batch_size, context.seed, shuffle=False)
    readers: tuple[Reader, Reader] = context.train.read, context.val.read
    if item.cached:
        readers = context.activations.readers(stage)
    train = make_batches(
        readers[0],
        context.draw(item, first_epoch),
        context.train.targets,
        sample_weights=context.balance.weights,
        first_epoch=first_epoch,
    )
    val = make_batches(
        readers[1], plain, context.val.targets, sample_weights=context.val.sample_weights
    )
    return train, val


def _reseed_dropout(model: Any, seed: int, phase: int) -> None:
    """Lets a phase draw the same dropout whether or not an earlier process ran those before."""
    states = [item for item in model.variables if "seed_generator_state" in item.path]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, phase, number]).generate_state(2))
