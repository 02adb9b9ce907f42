"""What is said of how far a training is, on the clock of a simulated one."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from tfxfer import Phase
from tfxfer import progress as progress_module
from tfxfer.progress import ConsoleProgress
from tfxfer.training import pace as pace_module
from tfxfer.training.callbacks import Bridge
from tfxfer.training.epoch_lines import EpochLines
from tfxfer.training.pace import Pace

STEPS = 10
HEAD = Phase("head", "backbone", 4, 1e-2)
TUNING = Phase("fine_tune", None, 6, 1e-3, longest=60)
LAST = Phase("full_size", None, 1, 1e-3)
LINE = re.compile(r"training (\w+): epoch (\d+) of (\d+), (\d+) of (\d+) in all.*: (\d+) %(.*)")
LEFT = re.compile(r", about (?:(\d+) min )?(\d+) s left")


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Shown:
    """One line, and how much time was left when it was written."""

    phase: str
    epoch: int
    epochs: int
    total: int
    percent: int
    left: float | None
    truth: float


@dataclass
class Course:
    """Two phases on a clock, the second with as many epochs as fit; `LAST` is another fit's."""

    clock: Clock
    end: float
    settled: list[int] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> list[Shown]:
        course = self

        class Stream(io.StringIO):
            def write(self, text: str) -> int:
                course.lines.append((course.clock.now, text.rstrip()))
                return len(text)

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        pace, first, ends = Pace(self.end), 0, dict[str, float]()
        # No thread of its own: whoever writes is the simulated training.
        with ConsoleProgress(delay_s=0, interval_s=5, stream=Stream()) as progress:
            bridge = Bridge([EpochLines(None, progress, monitor="val_accuracy")], model)
            for phase, later, step in ((HEAD, 7, 0.1), (TUNING, 1, 1.0)):
                first += self._run_phase(phase, later, step, first, pace, bridge)
                ends[phase.name] = self.clock.now
        shown = []
        for at, text in self.lines:
            found = LINE.fullmatch(text)
            if found is None:
                assert re.fullmatch(r"training \w+: done after .*", text), text
                continue
            left = LEFT.fullmatch(found[7])
            seconds = None if left is None else 60 * int(left[1] or 0) + int(left[2])
            numbers = [int(found[number]) for number in (2, 3, 5, 6)]
            epoch, epochs, total, percent = numbers
            truth = ends[found[1]] - at
            shown.append(Shown(found[1], epoch, epochs, total, percent, seconds, truth))
        return shown

    def _run_phase(
        self, phase: Phase, later: int, step: float, first: int, pace: Pace, bridge: Bridge
    ) -> int:
        stand_in: Any = SimpleNamespace(optimizer=keras.optimizers.SGD(1.0), stop_training=False)
        pace.set_model(stand_in)
        bridge.set_model(stand_in)
        pace.start_phase(phase, steps=STEPS, first_epoch=first, sets_rate=True)
        bridge.start_phase(
            lambda: {
                "epochs": first + pace.epochs + later,
                "steps": STEPS,
                "phase": phase.name,
                "phase_first_epoch": first,
                "phase_epochs": pace.epochs,
            }
        )
        for epoch in range(first, first + pace.most_epochs):
            for callback in (bridge, pace):
                callback.on_epoch_begin(epoch)
            self.settled.append(pace.epochs)
            for batch in range(STEPS):
                pace.on_train_batch_begin(batch)
                # The first step is traced and compiled.
                self.clock.now += step + 20 * (epoch == first and batch == 0)
                for callback in (bridge, pace):
                    callback.on_train_batch_end(batch)
            for test in range(2):
                pace.on_test_batch_begin(test)
                self.clock.now += step
                pace.on_test_batch_end(test)
            for callback in (bridge, pace):
                callback.on_epoch_end(epoch, {"val_accuracy": 0.5})
            if stand_in.stop_training:
                return epoch + 1 - first
        return pace.most_epochs


@pytest.mark.parametrize("seconds", [150, 300, 600])
def test_what_is_said_follows_what_the_clock_settled(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = Clock()
    for module in (progress_module, pace_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(ConsoleProgress, "_tick", lambda self: None)
    course = Course(clock, clock.now + seconds)
    shown = course.run()
    tuning = [each for each in shown if each.phase == "fine_tune" and each.epoch > 1]
    ran = len(course.settled) - HEAD.epochs
    assert HEAD.epochs < ran < TUNING.longest  # type: ignore[operator]
    assert len(tuning) > 10
    for each in tuning:
        # The longest is never spoken of; what is settled once is what runs.
        assert (each.epochs, each.total) == (ran, HEAD.epochs + ran + LAST.epochs)
        # Neither the fast head nor the tracing is mistaken for the speed of this phase.
        assert each.left is not None
        assert each.left == pytest.approx(each.truth, abs=1 + 0.1 * each.truth)
    assert [each.percent for each in tuning] == sorted(each.percent for each in tuning)
    # It does not grow, but by what validating takes more than a step.
    for before, after in itertools.pairwise(each.left or 0 for each in tuning):
        assert after <= 1.03 * before + 1
    # Before an epoch has run, the plan is all that is known.
    start = next(each for each in shown if each.phase == "fine_tune")
    assert (start.epochs, start.total) == (TUNING.epochs, HEAD.epochs + TUNING.epochs + LAST.epochs)


def test_the_params_of_callbacks_follow_it_too() -> None:
    seen, known = [], {"epochs": 8}

    class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            seen.append(self.params["epochs"])

    bridge = Bridge([Recorder()], keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    bridge.start_phase(lambda: known)
    for epoch, epochs in enumerate((8, 5, 5)):
        known["epochs"] = epochs
        bridge.on_epoch_begin(epoch)
    assert seen == [8, 5, 5]
