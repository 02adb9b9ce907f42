from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfxfer import BACKBONE_END, Phase, ScheduleError, progressive
from tfxfer.schedule import resolve_schedule

STAGES = ["stem", "block_1", "block_2", BACKBONE_END]


def resolve(stage: Any, stages: list[str]) -> str | None:
    (phase,) = resolve_schedule([Phase("p", stage, 1, 1e-3)], stages)
    assert phase.stage is None or isinstance(phase.stage, str)
    return phase.stage


def depth(stage: Any, stages: list[str]) -> int:
    found = resolve(stage, stages)
    return 0 if found is None else stages.index(found) + 1


@given(st.integers(0, 40), st.floats(0, 1))
def test_a_fraction_is_always_a_stage(inner: int, fraction: float) -> None:
    stages = [*(f"block_{number}" for number in range(inner)), BACKBONE_END]
    assert resolve(fraction, stages) in {None, *stages}


@given(st.integers(0, 40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_freezes_no_less(inner: int, first: float, second: float) -> None:
    stages = [*(f"block_{number}" for number in range(inner)), BACKBONE_END]
    low, high = sorted((first, second))
    assert depth(low, stages) <= depth(high, stages)


@pytest.mark.parametrize(
    ("fraction", "stage"),
    [
        (0, None),
        (0.1, None),
        (0.3, "stem"),
        (0.5, "block_1"),
        (0.7, "block_1"),
        (1, "backbone"),
        (1.0, "backbone"),
    ],
)
def test_fractions_of_the_true_stages(fraction: float, stage: str | None) -> None:
    assert resolve(fraction, STAGES) == stage


@pytest.mark.parametrize(("fraction", "stage"), [(0, None), (0.9, None), (1, BACKBONE_END)])
def test_a_backbone_without_stages_is_one_block(fraction: float, stage: str | None) -> None:
    assert resolve(fraction, [BACKBONE_END]) == stage


def test_names_and_none_stay() -> None:
    assert [resolve(stage, STAGES) for stage in (None, *STAGES)] == [None, *STAGES]


def test_an_unknown_stage_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ScheduleError, match=r"phase 'p'.*'tiny'.*'blok_2'. Did you mean 'block_2'\?.*stem, block_1"
    ):
        resolve_schedule([Phase("p", "blok_2", 1, 1e-3)], STAGES, backbone="tiny")


def test_phases_have_different_names() -> None:
    with pytest.raises(ScheduleError, match="different names"):
        resolve_schedule([Phase("p", None, 1, 1e-3)] * 2, STAGES)
    with pytest.raises(ScheduleError, match="at least one phase"):
        resolve_schedule([], STAGES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "at least 1 as epochs"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": "3"}, "whole number"),
        ({"learning_rate": 0.0}, "learning_rate above 0"),
        ({"learning_rate": float("nan")}, "learning_rate above 0"),
        ({"stage": 1.5}, "fraction"),
        ({"stage": -1}, "fraction"),
        ({"stage": True}, "fraction"),
        ({"stage": float("nan")}, "fraction"),
        ({"stage": ["stem"]}, "fraction"),
        ({"warmup": "0.1"}, "number as warmup"),
        ({"stage_decay": 0.0}, "stage_decay"),
        ({"stage_decay": 1.1}, "stage_decay"),
        ({"warmup": 1.0}, "warmup"),
        ({"decay": "linear"}, "decay"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"patience": 0}, "patience"),
        ({"average": True, "batch_norm": True}, "average without batch_norm"),
    ],
)
def test_a_phase_that_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ScheduleError, match=words):
        Phase(**({"name": "p", "stage": None, "epochs": 1, "learning_rate": 1e-3} | changes))


def test_a_phase_is_read_back_and_unknown_keys_are_refused() -> None:
    phase = progressive()[1]
    assert Phase.from_dict(phase.to_dict()) == phase
    with pytest.raises(ScheduleError, match="momentum"):
        Phase.from_dict(phase.to_dict() | {"momentum": 0.9})
