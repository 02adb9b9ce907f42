from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Phase
from tfxfer.data.draw import EpochDraw
from tfxfer.training import pace as pace_module
from tfxfer.training.pace import Pace, rate_factor

PHASE = Phase("fine_tune", None, 6, 0.1, longest=30)
STEPS = 10


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Trained:
    """What a simulated phase did."""

    epochs: int
    rates: list[float] = field(default_factory=list)
    seconds: float = 0.0
    reached: bool = False
    cut: bool = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace_module, "time", clock)
    return clock


def run(
    clock: Clock,
    seconds: float | None,
    *,
    step: float = 1.0,
    trace: float = 0.0,
    slower: float = 1.0,
    stall_at: int | None = None,
    phase: Phase = PHASE,
    sets_rate: bool = True,
) -> Trained:
    """Runs a phase: each step takes a time, the first `trace` more, later epochs are `slower`.

    At the step `stall_at` the machine stands still for two seconds.
    """
    started = clock.now
    pace = Pace(None if seconds is None else started + seconds)
    model = SimpleNamespace(optimizer=keras.optimizers.SGD(phase.learning_rate))
    model.stop_training = False
    pace.set_model(model)
    pace.start_phase(phase, steps=STEPS, first_epoch=3, sets_rate=sets_rate)
    trained = Trained(0)
    for epoch in range(3, 3 + pace.most_epochs):
        pace.on_epoch_begin(epoch)
        for number in range(STEPS):
            pace.on_train_batch_begin(number)
            trained.rates.append(float(model.optimizer.learning_rate.numpy()))
            clock.now += step * (slower if epoch > 3 else 1) + trace
            trace = 0.0
            clock.now += 2.0 * (len(trained.rates) == stall_at)
            pace.on_train_batch_end(number)
            if model.stop_training:
                break
        pace.on_epoch_end(epoch)
        trained.epochs += 1
        if model.stop_training:
            break
    trained.seconds, trained.reached = clock.now - started, pace.reached
    trained.cut = pace.cut
    return trained


@pytest.mark.parametrize("seconds", [25, 40, 59, 60, 100, 299])
@pytest.mark.parametrize("trace", [0.0, 4.0])
def test_the_time_is_used_and_kept(clock: Clock, seconds: float, trace: float) -> None:
    trained = run(clock, seconds, trace=trace)
    assert seconds - STEPS < trained.seconds <= seconds
    assert trained.reached is (trained.epochs < PHASE.epochs)


def test_an_endless_budget_ends_at_the_longest(clock: Clock) -> None:
    trained = run(clock, 1e6)
    assert trained.epochs == PHASE.longest
    assert not trained.reached
    # Without a longest the phase has the epochs it was given.
    assert run(clock, 1e6, phase=replace(PHASE, longest=None)).epochs == PHASE.epochs


@pytest.mark.parametrize(("seconds", "slower"), [(40, 1.0), (61, 1.0), (300, 1.0), (90, 1.6)])
def test_the_rate_has_fallen_when_the_time_is_over(
    clock: Clock, seconds: float, slower: float
) -> None:
    rates = run(clock, seconds, slower=slower).rates
    peak = int(np.argmax(rates))
    assert max(rates) > 0.9 * PHASE.learning_rate
    assert rates[:peak] == sorted(rates[:peak])
    falling = rates[peak:]
    assert falling == sorted(falling, reverse=True)
    assert rates[-1] < 0.1 * PHASE.learning_rate
    # It goes on along one curve: no step changes the rate by more than a few steps' worth.
    jumps = [abs(b - a) for a, b in itertools.pairwise(falling)]
    assert max(jumps) < 0.25 * PHASE.learning_rate


def test_an_unplanned_slow_epoch_is_cut_short(clock: Clock) -> None:
    trained = run(clock, 4.5)
    assert trained.epochs == 1
    assert len(trained.rates) == 5
    assert trained.reached


def test_a_phase_that_the_clock_shortened_is_not_cut(clock: Clock) -> None:
    short = run(clock, 42)
    assert (short.epochs, short.reached, short.cut) == (4, True, False)
    # Three settled, then the second took so long that none follows: the rate was halfway.
    slow = run(clock, 42, slower=2.9)
    assert (slow.epochs, slow.reached, slow.cut) == (2, True, True)
    # In the middle of an epoch, at a rate that has hardly begun to fall.
    assert run(clock, 4.5).cut
    # Before the last step of a course that was settled: nothing was left to fall.
    late = run(clock, 40.5, stall_at=39)
    assert (late.epochs, late.reached, late.cut) == (4, True, False)
    # A rate that does not fall with the clock is cut wherever the clock ends it.
    for other in (
        run(clock, 42, sets_rate=False),
        run(clock, 42, phase=replace(PHASE, decay="constant")),
    ):
        assert (other.epochs, other.reached, other.cut) == (4, True, True)
    assert not run(clock, 1e6).cut


def test_without_an_end_nothing_is_touched(clock: Clock) -> None:
    trained = run(clock, None)
    assert trained.epochs == PHASE.epochs
    assert trained.rates == pytest.approx([PHASE.learning_rate] * len(trained.rates))
    # Nor where a callback of the user's sets the rate.
    assert len(set(run(clock, 40, sets_rate=False).rates)) == 1


def test_each_optimizer_falls_from_its_own_peak(clock: Clock) -> None:
    single = [keras.optimizers.SGD(rate, name=name) for name, rate in (("a", 0.1), ("b", 0.02))]
    optimizer = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(single[0], {"kernel": single[1]})
    )
    model: Any = SimpleNamespace(optimizer=optimizer, stop_training=False)
    pace = Pace(clock.now + 1e3)
    pace.set_model(model)
    pace.start_phase(replace(PHASE, warmup=0), steps=STEPS, first_epoch=0, sets_rate=True)
    pace.on_epoch_begin(0)
    for number in range(STEPS):
        pace.on_train_batch_begin(number)
        pace.on_train_batch_end(number)
    rates = [float(x.learning_rate.numpy()) for x in single]
    assert rates[0] < 0.1
    assert rates[1] / rates[0] == pytest.approx(0.2)


def test_the_curve_is_that_of_keras() -> None:
    phase = replace(PHASE, warmup=0.25)
    total = 40
    keras_rate = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=30, warmup_target=0.1, warmup_steps=10
    )
    ours = [0.1 * rate_factor(phase, step / total) for step in range(total)]
    theirs = [float(keras_rate(step)) for step in range(total)]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours != pytest.approx([0.1 * rate_factor(PHASE, s / total) for s in range(total)])


@pytest.mark.parametrize("oversampled", [None, np.eye(2)[[0] * 15 + [1] * 5]])
def test_epochs_beyond_the_plan_draw_what_is_held(oversampled: np.ndarray | None) -> None:
    draw = EpochDraw(20, 4, 8, seed=3, oversampled=oversampled, cycle=(5, 3))
    held = draw.uses(range(5, 8))
    for number in range(8, 20):
        assert held[draw.epoch(number)].all()
        assert sorted(draw.epoch(number)[0]) == sorted(draw.epoch(5 + (number - 5) % 3)[0])
    assert list(draw.epoch(8)[0]) != list(draw.epoch(5)[0])
    # Without a cycle other views come.
    assert not held[EpochDraw(20, 4, 8, seed=3, oversampled=oversampled).epoch(9)].all()
