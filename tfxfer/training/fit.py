"""Runs a schedule with `model.fit`, phase by phase, on activations cached at each frontier."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfxfer.data.balance import BALANCE_MODES
from tfxfer.data.feed import SampleSource
from tfxfer.data.samples import SampleData
from tfxfer.device import Device
from tfxfer.errors import UsageError
from tfxfer.fine_tuning import DEFAULT_OPTIMIZER, FineTuning
from tfxfer.frontier.store import CacheStore
from tfxfer.schedule import FitState, Phase, PhaseResult
from tfxfer.stages import attach_info, get_info
from tfxfer.standard_schedules import follow_advice, list_phases
from tfxfer.system.arguments import check_kind, check_number, check_word
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.training.activations import Activations
from tfxfer.training.averaging import WeightAverage
from tfxfer.training.callback_list import list_callbacks
from tfxfer.training.callbacks import BestWeights, Bridge, sets_learning_rate
from tfxfer.training.companion import make_companion_source
from tfxfer.training.context import FitContext
from tfxfer.training.finite import NotFiniteError
from tfxfer.training.material import check_data, describe_passes, make_sources
from tfxfer.training.objective import find_objective
from tfxfer.training.options import Augmentation, Cache, Control, check_numbers, group_options
from tfxfer.training.pace import Pace
from tfxfer.training.phase import run_phase
from tfxfer.training.plan import FitPlan, PhasePlan, plan_fit
from tfxfer.training.snapshot import Recorder, check_phases
from tfxfer.training.weighting import Balance, choose_balance

__all__ = ["fit"]


def fit(
    model: keras.Model,
    data: SampleData | tuple[Any, Any],
    *,
    schedule: str | Sequence[Phase] | FitPlan | None = None,
    epochs: int | None = None,
    callbacks: Sequence[Any] | None = (),
    batch_size: int = 32,
    augment: str | Augmentation | None = None,
    balance: str = "none",
    class_weight: Mapping[int | str, float] | None = None,
    seed: int = 0,
    cache: bool | Cache = True,
    device: Device | None = None,
    control: Control | None = None,
    verbose: Any = "auto",
    **moved: Any,
) -> Any:
    """Trains a model through the phases of a schedule; the best validation epoch is what remains.

    Each phase freezes the model up to its stage, caches the activations there where that is
    possible, and calls `fit` on what follows, which shares the model's layers. Epochs are numbered
    through all phases.

    A model that its user compiled keeps its loss and its metrics, and each phase trains with an
    optimizer of the same class and configuration, at the phase's rates; a warning says in one line
    what stands back. Afterwards it is compiled again as it was, with a fresh optimizer.

    Args:
        model: from `build_model` or `load_model`; or a `keras.Model` with another head on the
            features of such a one, compiled.
        data: from `load_images`, or a pair (training, validation), each a batched
            `tf.data.Dataset` or `keras.utils.PyDataset` of (inputs, targets), or arrays (inputs,
            targets). Images are pixels 0..255. Targets are what the head encodes, or, for one of
            classes, their numbers. A third item weighs samples.
        schedule: phases, or the name of a schedule: `two_phase`, `progressive`, `head` or
            `scratch`; None is `two_phase`. A name, and None, mean rates, depth and epochs as the
            model's backbone wants them, `Backbone.fine_tuning`. A plan that `plan_fit` made of
            phases is taken as it is, with its views.
        epochs: of the default schedule's second phase, or of a schedule of one phase.
        callbacks: Keras callbacks; they see the full model.
        batch_size: samples a step.
        augment: a level of augmentation, or an `Augmentation`, for `data` from `load_images`; None
            is the modality's default.
        balance: `none`, `weights` (rare classes weigh more) or `oversample`.
        class_weight: Keras's, by the number of a class, or by its label.
        seed: of the order of samples and the choice of views.
        cache: False trains every phase through the whole network, a dataset in its own batches,
            order and augmentation; a `Cache` says more.
        device: from `prepare_device`; None computes as Keras would.
        control: deadline, progress, and what a later `fit` goes on from.
        verbose: Keras's.
        moved: keywords of tfxfer 0.1 that are fields of the groups now; each warns.

    Shapes: inputs as the model's, of images (batch, size, size, 3); targets (batch, outputs), or
        class numbers (batch,).

    Returns:
        A Keras `History`. Beside `history` and `epoch` it has `state`, a `FitState`, and
        `is_stopped`: whether a callback ended all of the training.

    Raises:
        SetupError: another project's settings make Keras another one.
        ScheduleError: the schedule does not fit the model, or none has the name.
        RunError: a snapshot of other phases, or of another network.
        DataError: data of another size than the model's, of another range or order of labels, or
            without an end.
        UsageError: an argument that cannot be meant, or a callback that goes on by itself.
        TypeError: a keyword that `fit` never had.
        ModelError: the loss became NaN or infinite; the message names the batch and its files, and
            the model holds its best weights. Or a head of which
            nobody knows the loss.
    """
    check_keras_settings()
    augmentation, caching, watch = group_options(augment, cache, control, moved)
    check_numbers(batch_size=batch_size, seed=seed)
    check_word(balance, BALANCE_MODES, where="fit", name="balance")
    check_kind(
        device, (Device, type(None)), where="fit", name="device", expected="prepare_device's result"
    )
    info, own_callbacks = get_info(model), list_callbacks(callbacks)
    if isinstance(data, SampleData):
        # As its samples are read in training, so are those that the model is asked about.
        contract, _ = info.modality.fit_contract(info.preprocessing, data.facts)
        attach_info(model, replace(info, preprocessing=contract))
    objective = find_objective(model)
    advice = info.fine_tuning
    if objective.optimizer is not None:
        # Which optimizer a user compiled with is said, too.
        advice = replace(advice, optimizer=DEFAULT_OPTIMIZER, weight_decay=0.0)
    phases = _choose_phases(schedule, epochs, advice)
    train, val, default_views = make_sources(
        model, data, objective, augmentation, progress=watch.progress
    )
    check_data(model, train, val)
    companion = watch.companion
    beside = None if companion is None else make_companion_source(companion, train)
    views = default_views if augmentation.views is None else augmentation.views
    if device is None:
        device = Device("cpu", "unchanged", jit_compile=objective.jit_compile)
    store = CacheStore() if caching.store is None else caching.store
    if isinstance(phases, FitPlan):
        plan = phases
    else:
        plan = plan_fit(
            model,
            phases,
            images=len(train),
            views=views,
            val=len(val),
            store=store,
            cache=caching.enabled,
            itemsize=np.dtype(caching.dtype).itemsize,
            input_itemsizes=train.itemsizes,
            companions=len(beside or ()),
        )
    weighing = choose_balance(
        balance, class_weight, head=info.head, labels=info.labels, train=train
    )
    _check_drawn(plan, train, weighing)
    targets = (objective.encode_targets(train.targets), objective.encode_targets(val.targets))
    monitor = objective.find_monitor(model, targets[0][:1])
    changes = objective.describe_changes([item.phase for item in plan.phases], monitor)
    for line in [*([] if changes is None else [changes]), *describe_passes(plan, train, val)]:
        warnings.warn(line, stacklevel=2)
    activations = Activations(
        model, plan, train=train, val=val, store=store, dtype=caching.dtype,
        use_litert=caching.use_litert, conversion=caching.conversion, progress=watch.progress,
        beside=beside,
    )  # fmt: skip
    context = FitContext(
        model, train, val, plan, activations, batch_size, seed, objective, targets, weighing,
        device, verbose, watch.on_features, watch.wrap, watch.change, companion, beside,
    )  # fmt: skip
    snapshot = watch.snapshot
    state = FitState() if watch.state is None else watch.state
    if snapshot is not None:
        check_phases(snapshot, [item.phase.name for item in plan.phases])
        state = snapshot.state
        model.set_weights(snapshot.best)
    best = BestWeights(model, monitor, len(val))
    if state.best is not None and state.best_epoch is not None and state.best_phase is not None:
        peak = state.best[0] if state.peak is None else state.peak
        best.continue_from(state.best, peak, state.best_epoch, state.best_phase)
    pace = Pace(watch.deadline)
    bridge = Bridge(own_callbacks, model, policy=device.precision)
    recorder = Recorder(WeightAverage(), best, bridge, pace, watch.on_epoch_end)
    records = list(state.records)
    # What was begun in an earlier process is the first phase that is left.
    begun = None if snapshot is None or snapshot.progress is None else len(records)
    history = keras.callbacks.History()
    history.history, history.epoch = {}, []
    history.set_model(model)
    constant = sets_learning_rate(own_callbacks)
    try:
        for number, item in enumerate(plan.phases):
            if number < len(records):
                continue
            # What follows from the features takes no epochs, and must be of those that there are.
            if (pace.reached or bridge.stopped) and not item.closed_form:
                continue
            best.restore()
            try:
                logs = run_phase(
                    context,
                    number,
                    records=records,
                    recorder=recorder,
                    constant_rate=constant,
                    snapshot=snapshot if number == begun else None,
                )
            except NotFiniteError as error:
                if error.logs.get("loss"):
                    seconds = recorder.count_seconds()
                    made = _record(item, error.logs, seconds, pace=pace, stopped=True)
                    records.append(replace(made, stopped="not_finite"))
                error.state = FitState(tuple(records), best.best, best.peak, best.epoch, best.phase)
                bridge.end_training()  # whatever writes files closes them
                raise
            stopped = bridge.stopped or bridge.ended_phase
            records.append(
                _record(item, logs, recorder.count_seconds(), pace=pace, stopped=stopped)
            )
            best.restore()
            state = FitState(tuple(records), best.best, best.peak, best.epoch, best.phase)
            if watch.on_phase_end is not None:
                watch.on_phase_end(state)
        bridge.end_training()
    finally:
        best.restore()
        activations.clear()
        objective.restore(model)
    for record in records:
        for key, values in record.history.items():
            history.history.setdefault(key, []).extend(values)
    history.epoch = list(range(sum(record.epochs for record in records)))
    history.state, history.is_stopped = state, bridge.stopped
    return history


def _choose_phases(
    schedule: str | Sequence[Phase] | FitPlan | None, epochs: int | None, advice: FineTuning
) -> Sequence[Phase] | FitPlan:
    """Returns the phases that `epochs` is short for.

    Raises:
        UsageError: no number of epochs, or a schedule whose phases have their own.
    """
    if epochs is None:
        return schedule if isinstance(schedule, FitPlan) else list_phases(schedule, advice)
    check_number(epochs, where="fit", name="epochs", least=1)
    if schedule is None:
        return follow_advice(advice, epochs=epochs)
    phases = () if isinstance(schedule, FitPlan) else list_phases(schedule, advice)
    if len(phases) == 1:
        return (replace(phases[0], epochs=epochs),)
    raise UsageError(
        f"fit: expected epochs or a schedule of several phases. Received: both, epochs={epochs}. "
        "Say how many in the schedule: tfxfer.two_phase(epochs=…), Phase(epochs=…)."
    )


def _check_drawn(plan: FitPlan, train: SampleSource, weighing: Balance) -> None:
    if weighing.oversampled is None or train.can_seek:
        return
    for item in plan.phases:
        if not item.cached:
            raise UsageError(
                f"phase {item.phase.name!r}: expected a cache, or samples that can be fetched one "
                "by one, to draw rare classes more often. Received: balance='oversample' of an "
                "uncached dataset. Pass balance='weights', or images from tfxfer.load_images."
            )


def _record(
    item: PhasePlan,
    logs: dict[str, list[float]],
    seconds: float,
    *,
    pace: Pace,
    stopped: bool,
) -> PhaseResult:
    epochs, planned = len(logs["loss"]), item.phase.epochs
    why = None
    if pace.reached:
        why = "budget" if pace.cut else None
    elif epochs < planned:
        # Of our own reasons only patience is left; an EarlyStopping is patience, too.
        why = "callback" if stopped else "patience"
    return PhaseResult(
        name=item.phase.name,
        stage=item.stage,
        epochs=epochs,
        learning_rate=item.phase.learning_rate,
        trainable_parameters=item.trainable_parameters,
        cached=item.cached,
        seconds=seconds,
        history=logs,
        planned_epochs=planned,
        stopped=why,
    )
