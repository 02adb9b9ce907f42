"""What is advised, for what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer import RunError
from tfxfer.evaluation.intervals import wilson
from tfxfer.fine_tuning import FineTuning
from tfxfer.job.request import TrainRequest
from tfxfer.trust.advice import (
    Advice,
    Evidence,
    StageProbe,
    choose_backbone,
    choose_strategy,
    read_advice,
)

NOTHING = {"value": 0.0, "low": -1.0, "high": 1.0}


def probe(stage: str, depth: float, right: int, *, gain: float = 0.0) -> StageProbe:
    """Returns a probe that has so many of 200 right; its gain is known to a point and a half."""
    spread = {"value": gain, "low": gain - 1.5, "high": gain + 1.5}
    return StageProbe(stage, depth, wilson(right, 200), spread if gain else NOTHING)


NEAR = Evidence(
    backbone="small",
    size=224,
    samples=500,
    groups=5,
    rarest=80,
    probes=(probe("block_4", 0.5, 150, gain=-15), probe("backbone", 1.0, 180)),
    half=2.0,
    gap=0.06,
    gap_words="as near as natural photos",
    seconds=100.0,
)


def test_without_a_reason_against_it_the_default_is_advised() -> None:
    found = choose_strategy(NEAR)
    assert found.to_request() == {"schedule": "two_phase"}
    assert any("a linear probe on frozen features has 90.0 % right" in x for x in found.reasons)
    assert "as near as natural photos" in found.reasons


def test_features_that_are_as_good_as_they_can_be_are_left_frozen() -> None:
    full = replace(NEAR, probes=(probe("block_4", 0.5, 150, gain=-15), probe("backbone", 1, 199)))
    assert choose_strategy(full).to_request() == {"schedule": "head"}
    nearly = replace(NEAR, probes=(full.probes[0], probe("backbone", 1, 197)))
    assert choose_strategy(nearly).schedule == "two_phase"


@pytest.mark.parametrize(
    ("depth", "gain", "expected"),
    [(0.5, 6.0, 0.5), (0.2, 6.0, 0.35), (0.85, 6.0, 0.7), (0.5, 1.0, None)],
)
def test_better_features_before_the_end_unfreeze_what_follows(
    depth: float, gain: float, expected: float | None
) -> None:
    better = replace(
        NEAR, probes=(probe("block_4", depth, 180, gain=gain), probe("backbone", 1.0, 176))
    )
    # A gain that its interval does not tell from nothing is none.
    assert choose_strategy(better).unfreeze_from == expected


def test_many_samples_from_afar_get_more_epochs() -> None:
    far = replace(NEAR, gap=0.3, samples=1800)
    assert choose_strategy(far).to_request() == {
        "schedule": "two_phase",
        "epochs": 12,
        "views": 4,
    }
    for other in (replace(far, samples=200), replace(far, gap=0.1), replace(far, gap=None)):
        assert choose_strategy(other).to_request() == {"schedule": "two_phase"}


@pytest.mark.parametrize(("right", "expected"), [(172, None), (170, 0.35), (100, 0.35)])
def test_features_that_say_little_unfreeze_more(right: int, expected: float | None) -> None:
    # Of 200, 172 may still be 90 % by its interval; 170 may not.
    little = replace(NEAR, probes=(NEAR.probes[0], probe("backbone", 1.0, right)))
    found = choose_strategy(little)
    assert found.unfreeze_from == expected
    assert any("that is little" in reason for reason in found.reasons) == (expected is not None)
    # A backbone that trains as a whole already has no more to train.
    assert choose_strategy(little, FineTuning(unfreeze_from=None)).unfreeze_from is None


def test_frozen_features_that_say_little_are_no_negative_transfer() -> None:
    poor = replace(NEAR, probes=(probe("block_4", 0.5, 60, gain=1), probe("backbone", 1.0, 58)))
    found = choose_strategy(poor)
    assert found.schedule == "two_phase"
    assert not [reason for reason in found.reasons if "negative" in reason or "hurt" in reason]


def test_a_task_without_classes_is_said_to_have_no_probes() -> None:
    found = choose_strategy(replace(NEAR, probes=(), groups=0))
    assert found.schedule == "two_phase"
    assert found.reasons[0].startswith("this task has no classes to probe for")


def test_the_fastest_of_the_best_backbones_is_taken() -> None:
    slow = replace(NEAR, backbone="large", seconds=900.0)
    chosen, reasons = choose_backbone([slow, NEAR])
    assert chosen is NEAR
    assert "small has the fastest of those with the best features" in reasons[0]
    # What is clearly better is worth its time.
    better = replace(slow, probes=(NEAR.probes[0], probe("backbone", 1.0, 198)))
    assert choose_backbone([better, NEAR])[0] is better
    assert choose_backbone([NEAR]) == (NEAR, ())


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    fields = {"data": "photos", "backbone": "small", **choose_strategy(NEAR).to_request()}
    advice = Advice(fields, 12.5, ("head: 30 epochs",), ("because",), (NEAR,))
    advice.write(tmp_path / "plan.json")
    found = read_advice(tmp_path / "plan.json")
    assert found == advice
    assert TrainRequest.from_dict(dict(found.request)).schedule == "two_phase"
    (tmp_path / "plan.json").write_text('{"request": {}}')
    with pytest.raises(RunError, match="plan lacks a key: expected seconds"):
        read_advice(tmp_path / "plan.json")
    with pytest.raises(RunError, match="`tfxfer advise --out` writes it"):
        read_advice(tmp_path / "none.json")
