"""Runs a schedule with `model.fit`, phase by phase, on activations cached at each frontier."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.activations import Activations, Reader
from tfxfer.device import Device, training_precision
from tfxfer.errors import DataError, ModelError, UsageError
from tfxfer.feed import DatasetSource, EpochDraw, PixelSource, SplitSource, make_batches
from tfxfer.frontier import CacheStore, make_suffix
from tfxfer.model import fresh_statistics, get_info, set_trainable
from tfxfer.optimizers import make_optimizer, stage_rates
from tfxfer.plan import FitPlan, PhasePlan, plan_fit
from tfxfer.progress import Progress
from tfxfer.schedule import Phase, two_phase

if TYPE_CHECKING:
    from tfxfer.data import ImageData

__all__ = ["DEFAULT_VIEWS", "FitState", "PhaseResult", "fit"]

DEFAULT_VIEWS = 8
"""Augmented versions of each image that epochs draw among; measured in docs/benchmarks.md."""


@dataclass(frozen=True)
class PhaseResult:
    """What one phase did.

    Args:
        name: of the phase.
        stage: its frontier, None where nothing was frozen.
        epochs: that were run.
        learning_rate: peak.
        trainable_parameters: numbers that moved.
        cached: whether it trained on stored activations.
        seconds: filling the cache before it included.
        history: Keras's logs, a list per key.
    """

    name: str
    stage: str | None
    epochs: int
    learning_rate: float
    trainable_parameters: int
    cached: bool
    seconds: float
    history: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class FitState:
    """How far a training has come: what `fit` needs, beside the weights, to go on.

    Args:
        records: finished phases.
        best: the monitor's value (larger is better) and the negative validation loss.
        peak: the largest value of the monitor, which need not be the best epoch's.
        best_epoch: counted through all phases from 0.
        best_phase: in which that epoch was.
    """

    records: tuple[PhaseResult, ...] = ()
    best: tuple[float, float] | None = None
    peak: float | None = None
    best_epoch: int | None = None
    best_phase: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FitState:
        """Reads `to_dict`'s data."""
        # JSON has no infinity: a loss that was not finite comes back as None.
        best = data["best"] and [-math.inf if x is None else x for x in data["best"]]
        return cls(
            records=tuple(PhaseResult(**record) for record in data["records"]),
            best=None if best is None else (best[0], best[1]),
            peak=data.get("peak", best and best[0]),
            best_epoch=data["best_epoch"],
            best_phase=data["best_phase"],
        )


@dataclass(frozen=True)
class _Job:
    """Everything the phases of one `fit` share."""

    model: Any
    train: PixelSource
    val: PixelSource
    plan: FitPlan
    activations: Activations
    batch_size: int
    seed: int
    oversampled: np.ndarray | None
    device: Device
    verbose: Any

    def draw(self, item: PhasePlan) -> EpochDraw:
        """Returns which training images a phase sees when."""
        return EpochDraw(len(self.train), item.views, self.batch_size, self.seed, self.oversampled)


def fit(
    model: Any,
    data: ImageData | tuple[Any, Any],
    *,
    schedule: Sequence[Phase] | None = None,
    callbacks: Sequence[Any] = (),
    batch_size: int = 32,
    augment: str = "light",
    flip: bool = True,
    views: int | None = None,
    balance: str = "none",
    seed: int = 0,
    cache: bool = True,
    store: CacheStore | None = None,
    cache_dtype: str = "float16",
    use_litert: bool = True,
    device: Device | None = None,
    deadline: float | None = None,
    verbose: Any = "auto",
    progress: Progress | None = None,
    state: FitState | None = None,
    on_phase_end: Callable[[FitState], None] | None = None,
) -> Any:
    """Trains a model through the phases of a schedule; the best validation epoch is what remains.

    Each phase freezes the model up to its stage, caches the activations there where that is
    possible, and calls `fit` on what follows, which shares the model's layers. Epochs are numbered
    through all phases.

    Args:
        model: from `build_model` or `load_model`.
        data: from `load_images`, or a pair (training, validation) of batched
            `tf.data.Dataset`s of (pixels 0..255, targets).
        schedule: phases; None is `two_phase()`.
        callbacks: Keras callbacks; they see the full model.
        batch_size: images a step.
        augment: `none`, `light` or `strong`, for `data` from `load_images`.
        flip: whether augmentation may mirror.
        views: versions of each training image that epochs draw among; None is 8, or 1 without
            augmentation and for a `tf.data.Dataset`, where each view is one more pass.
        balance: `none`, `weights` (rare classes weigh more) or `oversample`.
        seed: of the order of images and the choice of views.
        cache: False trains every phase from pixels.
        store: where cached activations go.
        cache_dtype: `float16` or `float32`.
        use_litert: False fills caches through Keras.
        device: from `prepare_device`; None computes as Keras would.
        deadline: `time.monotonic()` at which training should be over.
        verbose: Keras's.
        progress: told of images cached.
        state: of an earlier `fit` whose best weights the model holds; its phases are skipped.
        on_phase_end: called with the state after each phase, the model holding its best weights.

    Shapes: pixels (batch, size, size, 3), targets (batch, outputs).

    Returns:
        A Keras `History`. Beside `history` and `epoch` it has `state`, a `FitState`.

    Raises:
        ScheduleError: the schedule does not fit the model.
        DataError: data of another size than the model's, or a `tf.data.Dataset` that cannot be
            cached.
        ModelError: the loss became NaN; the model holds its best weights.
    """
    import keras

    from tfxfer.averaging import WeightAverage
    from tfxfer.callbacks import BestWeights, Bridge, Deadline

    _check_numbers(batch_size, views, cache_dtype)
    info = get_info(model)
    train, val, default_views, weights, oversampled = _sources(
        data, augment=augment, flip=flip, balance=balance
    )
    _check_data(model, train, val)
    if weights is not None:
        own = train.sample_weights
        train.sample_weights = weights if own is None else weights * own
    number_of_views = default_views if views is None else views
    if device is None:
        device = Device("cpu", "unchanged", jit_compile=keras.backend.backend() == "jax")
    own_store = store is None
    store = CacheStore() if store is None else store
    plan = plan_fit(
        model,
        two_phase() if schedule is None else schedule,
        images=len(train),
        views=number_of_views,
        val=len(val),
        store=store,
        cache=cache,
        itemsize=np.dtype(cache_dtype).itemsize,
        pixel_itemsize=1 if train.can_seek else 4,
    )
    _check_readable(plan, train, val)
    activations = Activations(
        model, plan, train=train, val=val,
        store=store, dtype=cache_dtype, use_litert=use_litert, progress=progress,
    )  # fmt: skip
    job = _Job(model, train, val, plan, activations, batch_size, seed, oversampled, device, verbose)
    state = FitState() if state is None else state
    best = BestWeights(model, info.head.monitor, len(val))
    if state.best is not None and state.best_epoch is not None and state.best_phase is not None:
        peak = state.best[0] if state.peak is None else state.peak
        best.continue_from(state.best, peak, state.best_epoch, state.best_phase)
    stopper = Deadline(deadline)
    bridge = Bridge(callbacks, model, epochs=plan.epochs, policy=device.precision)
    records = list(state.records)
    history = keras.callbacks.History()
    history.history, history.epoch = {}, []
    history.set_model(model)
    constant = _sets_rate(callbacks)
    try:
        for number, item in enumerate(plan.phases):
            if number < len(records):
                continue
            if stopper.reached or bridge.stopped:
                break
            best.restore()
            started = time.monotonic()
            logs = _run_phase(
                job,
                number,
                first_epoch=sum(record.epochs for record in records),
                callbacks=(WeightAverage(), best, bridge, stopper),
                constant_rate=constant,
            )
            records.append(_record(item, logs, time.monotonic() - started))
            best.restore()
            state = FitState(tuple(records), best.best, best.peak, best.epoch, best.phase)
            if on_phase_end is not None:
                on_phase_end(state)
        bridge.end_training()
    finally:
        best.restore()
        activations.clear()
        if own_store:
            store.close()
    for record in records:
        for key, values in record.history.items():
            history.history.setdefault(key, []).extend(values)
    history.epoch = list(range(sum(record.epochs for record in records)))
    history.state = state
    return history


def _sets_rate(callbacks: Sequence[Any]) -> bool:
    from tfxfer.callbacks import sets_learning_rate

    return sets_learning_rate(callbacks)


def _record(item: PhasePlan, logs: dict[str, list[float]], seconds: float) -> PhaseResult:
    return PhaseResult(
        name=item.phase.name,
        stage=item.stage,
        epochs=len(logs["loss"]),
        learning_rate=item.phase.learning_rate,
        trainable_parameters=item.trainable_parameters,
        cached=item.cached,
        seconds=seconds,
        history=logs,
    )


def _sources(
    data: Any, *, augment: str, flip: bool, balance: str
) -> tuple[PixelSource, PixelSource, int, np.ndarray | None, np.ndarray | None]:
    """Returns training and validation pixels, the default views, weights and oversampling."""
    if isinstance(data, tuple):
        train: PixelSource = DatasetSource(data[0])
        val: PixelSource = DatasetSource(data[1], name="validation")
        views = 1
    else:
        train = SplitSource(data.train, augment=augment, flip=flip)
        val = SplitSource(data.val)
        views = 1 if augment == "none" else DEFAULT_VIEWS
    if balance == "none":
        return train, val, views, None, None
    from tfxfer.data.balance import sample_weights

    if balance == "weights":
        return train, val, views, sample_weights(train.targets, "weights"), None
    if balance == "oversample":
        return train, val, views, None, train.targets
    raise DataError(
        f"balance: expected 'none', 'weights' or 'oversample'. Received: balance={balance!r}."
    )


def _check_numbers(batch_size: int, views: int | None, cache_dtype: str) -> None:
    checks = {
        "a batch_size of at least 1": batch_size >= 1,
        "views None or at least 1": views is None or views >= 1,
        "cache_dtype 'float16' or 'float32'": cache_dtype in ("float16", "float32"),
    }
    for expected, holds in checks.items():
        if not holds:
            raise UsageError(
                f"fit: expected {expected}. Received: batch_size={batch_size}, views={views}, "
                f"cache_dtype={cache_dtype!r}."
            )


def _check_readable(plan: FitPlan, train: PixelSource, val: PixelSource) -> None:
    if train.can_seek and val.can_seek:
        return
    for item in plan.phases:
        if not item.cached:
            raise DataError(
                f"phase {item.phase.name!r}: a tf.data.Dataset can only train from its cache. "
                "Pass cache=True and a store with room, or images from tfxfer.load_images."
            )


def _check_data(model: Any, train: PixelSource, val: PixelSource) -> None:
    expected = tuple(model.outputs[0].shape[1:])
    image_shape = tuple(model.inputs[0].shape[1:])
    for name, source in (("training", train), ("validation", val)):
        if not len(source):
            raise DataError(f"{name} data: expected at least one image. Received: none.")
        if source.image_shape != image_shape:
            raise DataError(
                f"{name} data: expected images of shape {image_shape}, as the model's input. "
                f"Received: shape={source.image_shape}. Load the images with that image_size."
            )
        if source.targets.shape[1:] != expected:
            raise DataError(
                f"{name} data: expected targets of shape (images, {', '.join(map(str, expected))})"
                f", as the model's outputs; one-hot for classification. Received: "
                f"shape={source.targets.shape}."
            )


def _run_phase(
    job: _Job,
    number: int,
    *,
    first_epoch: int,
    callbacks: tuple[Any, Any, Any, Any],
    constant_rate: bool,
) -> dict[str, list[float]]:
    import keras

    from tfxfer.callbacks import RateLogger

    item, phase = job.plan.phases[number], job.plan.phases[number].phase
    average, best, bridge, stopper = callbacks
    model = job.model
    stage = item.stage
    set_trainable(model, stage, batch_norm=phase.batch_norm)
    if item.cached:
        epochs = range(first_epoch, first_epoch + phase.epochs)
        job.activations.complete_phase(number, draw=job.draw(item), epochs=epochs)
    suffix = make_suffix(model, stage) if item.cached else model
    train, val = _batches(job, item, stage, first_epoch)
    optimizer = make_optimizer(
        model, phase, steps_per_epoch=len(train), constant_rate=constant_rate
    )
    _reseed_dropout(model, job.seed, number)
    head = get_info(model).head
    for network in {id(model): model, id(suffix): suffix}.values():
        network.compile(
            optimizer=optimizer,
            loss=head.loss(),
            metrics=head.metrics(),
            jit_compile=job.device.jit_compile,
        )
    _build_metrics(model, job.train.targets[:1])
    average.start_phase(len(train) * phase.epochs if phase.average else None)
    best.start_phase(phase.name, phase.patience)
    bridge.start_phase(len(train))
    with (
        training_precision(model, job.device.precision),
        fresh_statistics(model, steps_per_epoch=len(train)),
    ):
        result = suffix.fit(
            train,
            validation_data=val,
            initial_epoch=first_epoch,
            epochs=first_epoch + phase.epochs,
            shuffle=False,
            verbose=job.verbose,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: train.start_epoch(epoch)
                ),
                average,
                RateLogger(_rated_stages(job)),
                bridge,
                best,
                stopper,
            ],
        )
    logs = {key: [float(x) for x in values] for key, values in result.history.items()}
    if not np.isfinite(logs["loss"][-1]):
        raise ModelError(
            f"phase {phase.name!r}: expected a finite loss. Received: loss={logs['loss'][-1]}. "
            f"Lower the learning rate, {phase.learning_rate:g}, or check the targets."
        )
    return logs


def _rated_stages(job: _Job) -> list[str]:
    """Returns the stages that have a learning rate of their own in any phase."""
    stages = [stage.name for stage in get_info(job.model).stages[:-1]]
    rated = {
        stage
        for item in job.plan.phases
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


def _batches(job: _Job, item: PhasePlan, stage: str | None, first_epoch: int) -> tuple[Any, Any]:
    plain = EpochDraw(len(job.val), 1, job.batch_size, job.seed, shuffle=False)
    readers: tuple[Reader, Reader] = job.train.read, job.val.read
    if item.cached:
        readers = job.activations.readers(stage)
    train = make_batches(
        readers[0],
        job.draw(item),
        job.train.targets,
        sample_weights=job.train.sample_weights,
        first_epoch=first_epoch,
    )
    val = make_batches(readers[1], plain, job.val.targets, sample_weights=job.val.sample_weights)
    return train, val


def _reseed_dropout(model: Any, seed: int, phase: int) -> None:
    """Lets a phase draw the same dropout whether or not an earlier process ran those before."""
    states = [item for item in model.variables if "seed_generator_state" in item.path]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, phase, number]).generate_state(2))
