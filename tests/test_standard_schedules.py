from __future__ import annotations

from typing import Any

import pytest

from tfxfer import BACKBONE_END, ScheduleError, from_scratch, progressive, two_phase
from tfxfer.job.request import SCHEDULES as NAMES_OF_REQUESTS
from tfxfer.job.request import TrainRequest
from tfxfer.schedule import resolve_schedule
from tfxfer.standard_schedules import SCHEDULES, list_phases

STAGES = ["stem", "block_1", "block_2", BACKBONE_END]


def test_schedules_have_the_names_that_the_command_line_takes() -> None:
    assert tuple(SCHEDULES) == NAMES_OF_REQUESTS
    for name in NAMES_OF_REQUESTS:
        request = TrainRequest("photos", "tiny", schedule=name)
        assert list_phases(name) == request.make_schedule()
    assert list_phases(None) == two_phase()
    assert list_phases(list(progressive())) == progressive()
    assert list_phases("scratch") == from_scratch()


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("two_phases", r"no schedule named 'two_phases'\. Did you mean 'two_phase'\?"),
        ("x", r"Expected one of: two_phase, progressive, head, scratch"),
        (3, "Received: 3"),
        (two_phase()[0], "a list of tfxfer.Phase. Received: a Phase"),
        ([*two_phase(), "head"], "Received: 'head'"),
        (two_phase, "Received: a function"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: Any, words: str) -> None:
    with pytest.raises(ScheduleError, match=words) as caught:
        list_phases(schedule)
    assert "\n" not in str(caught.value)


def test_two_phases_begin_with_the_head() -> None:
    head, upper = two_phase(unfreeze_from="block_1", head_epochs=3, epochs=4)
    assert (head.stage, head.epochs) == (BACKBONE_END, 3)
    assert (upper.stage, upper.epochs) == ("block_1", 4)
    assert upper.learning_rate < head.learning_rate
    assert [phase.name for phase in two_phase(epochs=0)] == ["head"]


def test_by_default_only_the_head_may_stop_early() -> None:
    # A cosine that is cut short never reaches its low rates.
    for head, *upper in (two_phase(), progressive()):
        assert head.epochs == 30
        assert head.patience == 10
        assert {phase.patience for phase in upper} == {None}


def test_progressive_unfreezes_step_by_step_at_falling_rates() -> None:
    phases = progressive(steps=(0.8, 0.4, 0))
    resolved = [phase.stage for phase in resolve_schedule(phases, STAGES)]
    depths = [0 if stage is None else STAGES.index(stage) + 1 for stage in resolved]
    assert depths == sorted(depths, reverse=True)
    rates = [phase.learning_rate for phase in phases]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] == rates[1] / 2
    assert len({phase.name for phase in phases}) == 4
