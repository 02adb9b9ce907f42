"""Runs a schedule with `model.fit`, phase by phase, on activations cached at each frontier."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxfer.data.feed import DatasetSource, PixelSource, SplitSource
from tfxfer.device import Device
from tfxfer.errors import DataError, UsageError
from tfxfer.frontier.store import CacheStore
from tfxfer.progress import Progress
from tfxfer.schedule import Phase, two_phase
from tfxfer.stages import get_info
from tfxfer.training.activations import Activations
from tfxfer.training.plan import FitPlan, plan_fit

if TYPE_CHECKING:
    from tfxfer.data import ImageData

from tfxfer.schedule import FitState
from tfxfer.training.phase import _Job, _record, _run_phase

__all__ = ["DEFAULT_VIEWS", "fit"]

DEFAULT_VIEWS = 8
"""Augmented versions of each image that epochs draw among; measured in docs/benchmarks.md."""


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

    from tfxfer.training.averaging import WeightAverage
    from tfxfer.training.callbacks import BestWeights, Bridge, Deadline

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
    from tfxfer.training.callbacks import sets_learning_rate

    return sets_learning_rate(callbacks)


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
