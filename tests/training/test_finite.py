"""A loss that is NaN stops the training in its batch, and the error names the samples of that."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import ModelError, Phase, fit
from tfxfer.training.finite import (
    FiniteLoss,
    LossFault,
    NotFiniteError,
    describe_samples,
    find_bad_rows,
    make_error,
)

# A first step leaves weights that overflow: the second batch is the first whose loss is none.
RUIN = Phase("ruin", None, 2, 1e38, decay="constant", warmup=0, optimizer="sgd")
HEAD = Phase("head", "backbone", 2, 5e-2)


def follow(losses: list[float], *, val: tuple[float, ...] = (), stride: int = 1) -> FiniteLoss:
    """Returns what the callback noticed of the running means of one epoch, the fifth."""
    guard = FiniteLoss()
    guard.set_model(keras.Sequential([keras.layers.Dense(1)]))
    guard.on_epoch_begin(4)
    for number, loss in enumerate(losses):
        guard.on_train_batch_end((number + 1) * stride - 1, {"loss": loss})
    if val:
        guard.on_test_begin()
        for number, loss in enumerate(val):
            guard.on_test_batch_end(number, {"loss": loss})
        guard.on_test_end()
    guard.on_epoch_end(4, {})
    return guard


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_the_first_batch_that_is_not_finite(bad: float, place: int) -> None:
    guard = follow([0.5] * place + [bad] * (4 - place))
    assert guard.fault is not None
    assert (guard.fault.part, guard.fault.epoch, guard.fault.first) == ("train", 4, place)
    assert guard.fault.last == place
    assert guard.model.stop_training is True


def test_losses_that_are_finite_stop_nothing() -> None:
    guard = follow([0.5, 1e30, 0.0], val=(0.1, 0.2))
    assert guard.fault is None
    assert not hasattr(guard.model, "stop_training")


def test_validation_is_looked_at_too() -> None:
    guard = follow([0.5], val=(0.1, math.nan, math.nan))
    assert guard.fault is not None
    assert (guard.fault.part, guard.fault.first, guard.fault.last) == ("val", 1, 1)


def test_a_step_of_several_batches_names_all_of_them() -> None:
    guard = follow([0.5, math.nan], stride=4)
    assert guard.fault is not None
    assert (guard.fault.first, guard.fault.last) == (4, 7)


def test_a_loss_is_asked_for_when_the_next_batch_is_done() -> None:
    asked: list[int] = []

    class Lazy:
        def __init__(self, number: int) -> None:
            self.number = number

        def __float__(self) -> float:
            asked.append(self.number)
            return 0.5

    guard = FiniteLoss()
    guard.on_epoch_begin(0)
    for number in range(3):
        guard.on_train_batch_end(number, {"loss": Lazy(number)})
        assert asked == list(range(number))
    guard.on_epoch_end(0)
    assert asked == [0, 1, 2]


def test_rows_that_are_not_finite() -> None:
    inputs, targets = np.zeros((4, 2, 2), np.float32), np.zeros((4, 1), np.float32)
    assert find_bad_rows((inputs, targets)) == []
    inputs[2, 1, 0], targets[3] = np.inf, np.nan
    assert find_bad_rows((inputs, targets)) == [2, 3]
    assert find_bad_rows(((np.zeros((4, 2), np.int32), inputs), targets)) == [2, 3]
    assert find_bad_rows((np.zeros((4, 2), np.uint8), np.zeros(4, np.int64))) == []


def test_samples_in_words() -> None:
    class Named:
        names = tuple(f"{number}.png" for number in range(30))

    chosen = np.array([7, 3])
    assert describe_samples(Named(), chosen) == ", on 7.png, 3.png"
    assert describe_samples(Named(), chosen, [1]) == (
        ", on 7.png, 3.png; NaN or infinity is in 3.png"
    )
    assert describe_samples(object(), chosen) == ", on sample 7, sample 3"
    assert describe_samples(Named(), np.arange(20)).endswith(", 7.png and 12 more")
    assert describe_samples(Named(), None) == ""


def test_the_message_says_what_remains() -> None:
    fault = LossFault("val", 2, 0, 0, math.nan)
    told = {"phase": "head", "rate": 0.5, "steps": 3, "samples": "", "logs": {}}
    words = str(make_error(fault, kept=1, **told))  # type: ignore[arg-type]
    assert words == (
        "phase 'head', epoch 3: expected a finite loss. Received: the loss is nan in batch 1 of 3 "
        "of validation; epoch 2, the best so far, is what remains. Lower the learning rate, 0.5 "
        "now, or check these samples and their targets."
    )
    error = make_error(fault, kept=None, **told)  # type: ignore[arg-type]
    assert "no epoch before it had a finite loss" in str(error)


@pytest.mark.parametrize("cache", [True, False])
def test_a_training_that_overflows_names_its_batch(
    cache: bool, make_tiny: Callable[..., Any], images: Any
) -> None:
    model = make_tiny()
    with pytest.raises(ModelError, match="finite loss") as caught:
        fit(
            model, images, schedule=(HEAD, RUIN), batch_size=8, augment="none", cache=cache,
            seed=3, verbose=0,
        )  # fmt: skip
    error = caught.value
    assert isinstance(error, NotFiniteError)
    assert (error.phase, error.epoch) == ("ruin", 2)
    assert "the loss is nan in batch 2 of 3, on " in str(error) or "inf in batch 2" in str(error)
    from tfxfer.data.draw import EpochDraw

    order, _ = EpochDraw(24, 1, 8, 3, cycle=(2, 2)).epoch(2)
    names = ", ".join(images.train.paths[i] for i in order[8:16])
    assert f", on {names};" in str(error)
    # What remains is the best epoch of the phase before.
    assert [record.name for record in error.state.records] == ["head"]
    assert error.state.best_phase == "head"
    kept = error.state.best_epoch
    assert f"epoch {kept + 1}, the best so far, is what remains" in str(error)
    assert all(np.isfinite(np.array(item)).all() for item in model.weights)


def test_a_phase_keeps_its_epochs_before(make_tiny: Callable[..., Any], images: Any) -> None:
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                layer = self.model.get_layer("head_dense")
                layer.bias.assign(np.full(layer.bias.shape, np.nan, np.float32))

    schedule = (replace(HEAD, epochs=3),)
    with pytest.raises(NotFiniteError) as caught:
        fit(make_tiny(), images, schedule=schedule, batch_size=8, callbacks=[Poison()], verbose=0)
    (record,) = caught.value.state.records
    assert (record.epochs, record.planned_epochs, record.stopped) == (1, 3, "not_finite")
    assert all(len(values) == 1 for values in record.history.values())
    assert caught.value.state.best_epoch == 0
