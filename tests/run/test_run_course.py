from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from tfxfer import Phase
from tfxfer.run.course import describe_course, describe_pace
from tfxfer.run.manifest import Manifest, PhaseRecord

HEAD = PhaseRecord(
    "head", "backbone", 5, 1e-3, 10, True, 1.0, best_epoch=4, planned_epochs=30, stopped="patience"
)
TUNING = PhaseRecord("fine_tune", "stem", 8, 1e-3, 10, True, 1.0, planned_epochs=8)


def course(*phases: PhaseRecord) -> list[str]:
    return describe_course(record(*phases))


def record(*phases: PhaseRecord) -> Manifest:
    plan: list[dict[str, Any]] = [
        {
            "phase": asdict(Phase(name, "stem", 8, 1e-3)),
            "views": 1,
            "trainable_parameters": 10,
            "cached": True,
        }
        for name in ("head", "fine_tune")
    ]
    return Manifest(backbone="b", head="h", phases=phases, plan=tuple(plan))


def test_what_did_not_help_is_told_from_what_was_cut() -> None:
    assert course(HEAD, TUNING) == [
        "fine-tuning did not help: the best validation epoch is of phase 'head', and the model is "
        "that one"
    ]
    assert course(HEAD, replace(TUNING, epochs=1, stopped="budget")) == [
        "phase 'fine_tune' was stopped by --budget after 1 of 8 epochs"
    ]
    assert course(replace(HEAD, stopped="budget")) == [
        "phase 'head' was stopped by --budget after 5 of 30 epochs",
        "phase 'fine_tune' was not begun: --budget left no time for it",
    ]
    # Patience is no budget, and what helped is not spoken of.
    helped = replace(TUNING, best_epoch=9)
    assert course(replace(HEAD, best_epoch=None, stopped="patience"), helped) == []
    assert course(HEAD) == []


def test_what_a_loss_ended_is_blamed_on_nothing_else() -> None:
    ended = replace(TUNING, epochs=1, stopped="not_finite")
    assert course(HEAD, ended) == []
    short = record(replace(HEAD, stopped=None))
    assert describe_course(short) != []
    assert describe_course(replace(short, findings=({"kind": "not_finite"},))) == []


def test_what_the_clock_shortened_is_no_warning() -> None:
    short = replace(TUNING, epochs=5)
    assert describe_pace(record(HEAD, short)) == [
        "phase 'fine_tune' had 5 of 8 epochs, as many as fit into --budget; its learning rate fell "
        "in time"
    ]
    # Nor does it excuse: what had its epochs and is not kept did not help.
    assert course(HEAD, short) == course(HEAD, TUNING)
    for other in (HEAD, TUNING, replace(TUNING, epochs=20), replace(short, stopped="budget")):
        assert describe_pace(record(other)) == []
    # But it may leave no time for what follows.
    assert course(replace(HEAD, stopped=None)) == [
        "phase 'fine_tune' was not begun: --budget left no time for it"
    ]


def test_a_phase_that_was_cut_beyond_its_plan() -> None:
    assert course(HEAD, replace(TUNING, epochs=17, stopped="budget")) == [
        "phase 'fine_tune' was stopped by --budget in epoch 17, before its learning rate had fallen"
    ]
