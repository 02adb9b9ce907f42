from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Phase, fit
from tfxfer.training.averaging import WeightAverage


class One(keras.Model):
    """A model with one number for its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.number = self.add_weight(shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs * self.number


def make(steps: int | None) -> tuple[WeightAverage, One]:
    model, average = One(), WeightAverage()
    average.set_model(model)
    average.start_phase(steps)
    return average, model


def train(average: WeightAverage, model: One, values: list[float]) -> None:
    average.on_epoch_begin(0)
    for step, value in enumerate(values):
        model.number.assign(value)
        average.on_train_batch_end(step)


def read(model: One) -> float:
    return float(np.array(model.number))


def test_the_average_is_seen_from_validation_until_the_next_epoch() -> None:
    average, model = make(8)
    train(average, model, [1.0, 3.0, 1.0, 3.0])
    assert read(model) == 3.0
    average.on_test_begin()
    seen = read(model)
    assert 1.0 < seen < 3.0
    average.on_test_begin()  # a callback that evaluates, too
    assert read(model) == seen
    average.on_epoch_begin(1)
    assert read(model) == 3.0


def test_a_share_that_shrinks_spans_the_last_ninth() -> None:
    average, model = make(150)
    train(average, model, [0.0] * 100 + [1.0] * 50)
    average.on_test_begin()
    assert read(model) > 0.9  # the last third is what counts
    average, model = make(150)
    train(average, model, [0.0] * 149 + [1.0])
    average.on_test_begin()
    assert read(model) == pytest.approx(9 / 159)


def test_long_phases_are_sampled() -> None:
    average, model = make(2000)
    train(average, model, [5.0 if step % 10 == 9 else 0.0 for step in range(2000)])
    average.on_test_begin()
    assert read(model) == 5.0


def test_phases_know_nothing_of_each_other() -> None:
    average, model = make(4)
    train(average, model, [1.0, 1.0])
    average.on_test_begin()
    average.start_phase(4)
    train(average, model, [2.0, 2.0])
    average.on_test_begin()
    assert read(model) == 2.0


def test_a_phase_without_an_average() -> None:
    average, model = make(None)
    train(average, model, [1.0, 3.0])
    average.on_test_begin()
    assert read(model) == 3.0


def test_an_average_that_is_kept_does_not_change_any_more() -> None:
    average, model = make(8)
    train(average, model, [1.0, 2.0])
    average.on_test_begin()
    kept, before = model.get_weights(), read(model)
    train(average, model, [9.0, 9.0])
    assert float(kept[0]) == before


class Watch(keras.callbacks.Callback):
    """Keeps the weights after each step and at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[np.ndarray]] = []
        self.epochs: list[list[np.ndarray]] = []
        self.own: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(self.model.get_weights())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(self.model.get_weights())
        self.own.append(self.steps[-1])


def differ(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_goes_its_way_and_the_average_is_what_is_kept(
    make_tiny: Callable[..., Any], images: Any
) -> None:
    seen = {}
    for average in (False, True):
        model, watch = make_tiny(), Watch()
        phase = Phase("fine_tune", "block_1", 3, 5e-3, average=average)
        history = fit(
            model, images, schedule=[phase], batch_size=8, verbose=0, seed=3, callbacks=[watch]
        )
        best = watch.epochs[history.state.best_epoch]
        assert not differ(best, model.get_weights())
        assert len(watch.epochs) == 3
        pairs = zip(watch.epochs, watch.own, strict=True)
        assert [differ(shown, own) for shown, own in pairs] == [average] * 3
        seen[average] = watch
    for plain, averaged in zip(seen[False].steps, seen[True].steps, strict=True):
        assert not differ(plain, averaged)
