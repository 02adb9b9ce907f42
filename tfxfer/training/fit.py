"""Runs a schedule with `model.fit`, phase by phase, on activations cached at each frontier."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfxfer.data.balance import BALANCE_MODES, sample_weights
from tfxfer.data.feed import DatasetSource, SampleSource, SplitSource
from tfxfer.data.samples import SampleData
from tfxfer.device import Device
from tfxfer.errors import DataError
from tfxfer.frontier.store import CacheStore
from tfxfer.head import Head
from tfxfer.schedule import FitState, Phase, PhaseResult, list_phases
from tfxfer.stages import attach_info, get_info
from tfxfer.system.arguments import check_kind, check_word
from tfxfer.system.keras_settings import check_keras_settings
from tfxfer.training.activations import Activations
from tfxfer.training.averaging import WeightAverage
from tfxfer.training.callbacks import BestWeights, Bridge, sets_learning_rate
from tfxfer.training.options import (
    DEFAULT_VIEWS,
    Augmentation,
    Cache,
    Control,
    check_data,
    check_numbers,
    group_options,
    list_callbacks,
)
from tfxfer.training.pace import Pace
from tfxfer.training.phase import Balance, FitContext, run_phase
from tfxfer.training.plan import FitPlan, PhasePlan, plan_fit

__all__ = ["fit"]


def fit(
    model: keras.Model,
    data: SampleData | tuple[Any, Any],
    *,
    schedule: str | Sequence[Phase] | FitPlan | None = None,
    callbacks: Sequence[Any] | None = (),
    batch_size: int = 32,
    augment: str | Augmentation | None = None,
    balance: str = "none",
    seed: int = 0,
    cache: bool | Cache = True,
    device: Device | None = None,
    control: Control | None = None,
    verbose: Any = "auto",
    **moved: Any,
) -> keras.callbacks.History:
    """Trains a model through the phases of a schedule; the best validation epoch is what remains.

    Each phase freezes the model up to its stage, caches the activations there where that is
    possible, and calls `fit` on what follows, which shares the model's layers. Epochs are numbered
    through all phases.

    Args:
        model: from `build_model` or `load_model`.
        data: from `load_images`, or a pair (training, validation) of batched
            `tf.data.Dataset`s of (inputs, targets); images are pixels 0..255.
        schedule: phases, or the name of a schedule: `two_phase`, `progressive`, `head` or
            `scratch`; None is `two_phase()`. A plan that `plan_fit` made of them is taken as it is,
            with its views.
        callbacks: Keras callbacks; they see the full model.
        batch_size: samples a step.
        augment: a level of augmentation, or an `Augmentation`, for `data` from `load_images`; None
            is the modality's default.
        balance: `none`, `weights` (rare classes weigh more) or `oversample`.
        seed: of the order of samples and the choice of views.
        cache: False trains every phase through the whole network; a `Cache` says more.
        device: from `prepare_device`; None computes as Keras would.
        control: deadline, progress, and what a later `fit` goes on from.
        verbose: Keras's.
        moved: keywords of tfxfer 0.1 that are fields of the groups now; each warns.

    Shapes: inputs as the model's, of images (batch, size, size, 3); targets (batch, outputs).

    Returns:
        A Keras `History`. Beside `history` and `epoch` it has `state`, a `FitState`.

    Raises:
        SetupError: another project's settings make Keras another one.
        ScheduleError: the schedule does not fit the model, or none has the name.
        DataError: data of another size than the model's, or a `tf.data.Dataset` that cannot be
            cached.
        UsageError: a number or a balance that cannot be meant.
        TypeError: a keyword that `fit` never had.
        ModelError: the loss became NaN; the model holds its best weights.
    """
    check_keras_settings()
    augmentation, caching, watch = group_options(augment, cache, control, moved)
    callbacks = list_callbacks(callbacks)
    check_numbers(batch_size=batch_size, seed=seed)
    check_word(balance, BALANCE_MODES, where="fit", name="balance")
    check_kind(
        device, (Device, type(None)), where="fit", name="device", expected="prepare_device's result"
    )
    info = get_info(model)
    if isinstance(data, SampleData):
        # As its samples are read in training, so are those that the model is asked about.
        contract, _ = info.modality.fit_contract(info.preprocessing, data.facts)
        attach_info(model, replace(info, preprocessing=contract))
    train, val, default_views = _make_sources(model, data, augmentation)
    _check_data(model, train, val)
    views = default_views if augmentation.views is None else augmentation.views
    if device is None:
        device = Device("cpu", "unchanged", jit_compile=keras.backend.backend() == "jax")
    store = CacheStore() if caching.store is None else caching.store
    if isinstance(schedule, FitPlan):
        plan = schedule
    else:
        plan = plan_fit(
            model,
            list_phases(schedule),
            images=len(train),
            views=views,
            val=len(val),
            store=store,
            cache=caching.enabled,
            itemsize=np.dtype(caching.dtype).itemsize,
            input_itemsizes=train.itemsizes,
        )
    _check_readable(plan, train, val)
    activations = Activations(
        model, plan, train=train, val=val, store=store, dtype=caching.dtype,
        use_litert=caching.use_litert, conversion=caching.conversion, progress=watch.progress,
    )  # fmt: skip
    context = FitContext(
        model, train, val, plan, activations, batch_size, seed,
        _choose_balance(balance, info.head, train), device, verbose,
    )  # fmt: skip
    state = FitState() if watch.state is None else watch.state
    best = BestWeights(model, info.head.monitor, len(val))
    if state.best is not None and state.best_epoch is not None and state.best_phase is not None:
        peak = state.best[0] if state.peak is None else state.peak
        best.continue_from(state.best, peak, state.best_epoch, state.best_phase)
    pace = Pace(watch.deadline)
    bridge = Bridge(callbacks, model, epochs=plan.epochs, policy=device.precision)
    records = list(state.records)
    history = keras.callbacks.History()
    history.history, history.epoch = {}, []
    history.set_model(model)
    constant = sets_learning_rate(callbacks)
    try:
        for number, item in enumerate(plan.phases):
            if number < len(records):
                continue
            if pace.reached or bridge.stopped:
                break
            best.restore()
            started = time.monotonic()
            logs = run_phase(
                context,
                number,
                first_epoch=sum(record.epochs for record in records),
                callbacks=(WeightAverage(), best, bridge, pace),
                constant_rate=constant,
            )
            seconds = time.monotonic() - started
            records.append(_record(item, logs, seconds, late=pace.reached, stopped=bridge.stopped))
            best.restore()
            state = FitState(tuple(records), best.best, best.peak, best.epoch, best.phase)
            if watch.on_phase_end is not None:
                watch.on_phase_end(state)
        bridge.end_training()
    finally:
        best.restore()
        activations.clear()
    for record in records:
        for key, values in record.history.items():
            history.history.setdefault(key, []).extend(values)
    history.epoch = list(range(sum(record.epochs for record in records)))
    history.state = state
    return history


def _make_sources(
    model: Any, data: Any, augmentation: Augmentation
) -> tuple[SampleSource, SampleSource, int]:
    """Returns training and validation samples, and the views where nobody asks for a number."""
    check_data(data)
    if isinstance(data, tuple):
        inputs = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
        return (
            DatasetSource(data[0], inputs=inputs),
            DatasetSource(data[1], inputs=inputs, name="validation"),
            1,
        )
    level = augmentation.level or data.train.modality.default_level
    train = SplitSource(data.train, augment=level, options=augmentation.options)
    return train, SplitSource(data.val), 1 if level == "none" else DEFAULT_VIEWS


def _choose_balance(balance: str, head: Head, train: SampleSource) -> Balance:
    own = train.sample_weights
    if balance == "none":
        return Balance(own)
    groups = head.membership(train.targets)
    if balance == "oversample":
        return Balance(own, groups)
    weights = sample_weights(groups, balance)
    return Balance(weights if own is None or weights is None else weights * own)


def _check_readable(plan: FitPlan, train: SampleSource, val: SampleSource) -> None:
    if train.can_seek and val.can_seek:
        return
    for item in plan.phases:
        if not item.cached:
            raise DataError(
                f"phase {item.phase.name!r}: a tf.data.Dataset can only train from its cache. "
                "Pass cache=True and a store with room, or images from tfxfer.load_images."
            )


def _check_data(model: Any, train: SampleSource, val: SampleSource) -> None:
    expected = tuple(model.outputs[0].shape[1:])
    shapes = tuple(tuple(tensor.shape[1:]) for tensor in model.inputs)
    for name, source in (("training", train), ("validation", val)):
        if not len(source):
            raise DataError(f"{name} data: expected at least one sample. Received: none.")
        if source.input_shapes != shapes:
            modality = get_info(model).modality
            raise DataError(
                f"{name} data: expected {modality.plural} of shape {_show(shapes)}, as the model's "
                f"input. Received: shape={_show(source.input_shapes)}. Load them with that size."
            )
        if source.targets.shape[1:] != expected:
            raise DataError(
                f"{name} data: expected targets of shape (samples, "
                f"{', '.join(map(str, expected))}), as the model's outputs; of classes one-hot. "
                f"Received: shape={source.targets.shape}."
            )


def _show(shapes: tuple[tuple[int, ...], ...]) -> str:
    return str(shapes[0]) if len(shapes) == 1 else str(list(shapes))


def _record(
    item: PhasePlan,
    logs: dict[str, list[float]],
    seconds: float,
    *,
    late: bool,
    stopped: bool,
) -> PhaseResult:
    epochs, planned = len(logs["loss"]), item.phase.epochs
    why = None
    if late:
        why = "budget"
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
