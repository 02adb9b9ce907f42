"""What few samples a class call for: counted, looked up, told, and never in place of a choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tfxfer import ContractError, UsageError
from tfxfer.data.record import Record
from tfxfer.fine_tuning import FEW_SHOTS, FewShots, FineTuning
from tfxfer.job.request import TrainRequest
from tfxfer.job.shots import choose_shots, count_shots
from tfxfer.registry.lookup import default_registry, get_head

REQUEST = TrainRequest("photos", "tiny", shots="auto")
RULES = (
    FewShots(2, "measured", schedule="head", is_computed=True),
    FewShots(5, "measured", epochs=20, augment="strong"),
    FewShots(20, "measured"),
)
ADVICE = FineTuning(few_shots=RULES)


def make_records(split: str | None = None, **counts: int) -> list[Record]:
    return [
        Record(f"{label}/{n}.png", label, split) for label, k in counts.items() for n in range(k)
    ]


def choose(request: TrainRequest, records: list[Record], advice: FineTuning = ADVICE) -> Any:
    return choose_shots(request, records, advice, default_registry())


def test_what_is_counted() -> None:
    head = get_head("classification")
    parts = [*make_records("train", a=3, b=5, c=40), *make_records("val", a=9, b=9, c=9)]
    assert count_shots(parts, head) == 5
    # 70 % of them will be learnt from.
    assert count_shots(make_records(a=10, b=20, c=30), head) == 14
    assert count_shots(make_records(a=1, b=1), head) == 1
    assert count_shots(make_records("test", a=4), head) is None
    assert count_shots(make_records(**{"1.5": 4, "2": 4}), get_head("regression")) is None


@pytest.mark.parametrize(
    ("count", "expected", "words"),
    [
        (1, {"head": "prototype", "schedule": "head"}, "--head prototype --schedule head"),
        (2, {"head": "prototype", "schedule": "head"}, "--head prototype --schedule head"),
        (
            5,
            {"schedule": "two_phase", "epochs": 20, "augment": "strong"},
            "--schedule two_phase --epochs 20 --augment strong",
        ),
        (6, {"schedule": "two_phase"}, "--schedule two_phase"),
    ],
)
def test_what_is_chosen(count: int, expected: dict[str, Any], words: str) -> None:
    request, shots = choose(REQUEST, make_records("train", a=count, b=count))
    assert request == replace(REQUEST, **expected)
    assert shots.describe() == f"{count} a class to learn from: {words}, measured"


@pytest.mark.parametrize(
    "given", [{"target": "b"}, {"keep": "l2sp"}, {"budget_seconds": 60.0}, {"style": "b"}]
)
def test_what_goes_without_the_head_alone_is_no_fault_of_a_hint(given: dict[str, Any]) -> None:
    """Nobody asked for `--shots`, nor for the schedule that it would choose."""
    request = replace(REQUEST, shots="off", **given)
    same, shots = choose(request, make_records("train", a=1, b=1))
    assert same == request
    assert shots is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, {"head": "prototype", "schedule": "head"}), (3, {"schedule": "two_phase"})],
)
def test_class_means_are_taken_where_they_were_measured_to_be_better(
    count: int, expected: dict[str, Any]
) -> None:
    """docs/few.md: better on photos and no worse on flowers up to two, worse from ten on."""
    request, shots = choose(REQUEST, make_records("train", a=count, b=count), FineTuning())
    assert request == replace(REQUEST, **expected)
    assert shots.source == "docs/few.md"


def test_many_samples_change_nothing() -> None:
    assert choose(REQUEST, make_records("train", a=21, b=21)) == (REQUEST, None)
    few = make_records("train", a=1, b=1)
    assert choose(REQUEST, few, FineTuning(few_shots=())) == (REQUEST, None)


@pytest.mark.parametrize(
    "given",
    [
        {"head": "classification"},
        {"schedule": "progressive"},
        {"epochs": 3},
        {"head_epochs": 9},
        {"augment": "none"},
    ],
)
def test_what_is_named_stays(given: dict[str, Any]) -> None:
    asked = replace(REQUEST, **given)
    for count in (1, 4):
        request, _ = choose(asked, make_records("train", a=count, b=count))
        for name, value in given.items():
            assert getattr(request, name) == value
        if {"head", "augment"}.isdisjoint(given):
            assert (request.schedule, request.epochs) == (asked.schedule, asked.epochs)
        # What was chosen once is chosen again: a run is gone on with.
        assert choose(request, make_records("train", a=count, b=count))[0] == request


def test_without_it_there_is_a_hint_where_it_would_choose_otherwise() -> None:
    off = replace(REQUEST, shots="off")
    request, shots = choose(off, make_records("train", a=2, b=2))
    assert request is off
    assert shots.describe() == (
        "2 a class to learn from: --shots auto takes --head prototype --schedule head, measured"
    )
    assert choose(off, make_records("train", a=9, b=9)) == (off, None)


def test_what_excludes_it() -> None:
    for changes, words in (
        ({"shots": "few"}, "shots among auto, off"),
        ({"shots": "auto", "budget_seconds": 60.0}, "without --budget"),
        ({"shots": "auto", "from_run": "runs/1"}, "without --from"),
    ):
        with pytest.raises(UsageError, match=words):
            replace(TrainRequest("photos", "tiny"), **changes)


def test_a_table_that_cannot_be_meant() -> None:
    with pytest.raises(ContractError, match="in the order of their number"):
        FineTuning(few_shots=RULES[::-1])
    with pytest.raises(ContractError, match="most"):
        FewShots(0, "")
    with pytest.raises(ContractError, match="schedule"):
        FewShots(1, "", schedule="scratch")
    with pytest.raises(ContractError, match="epochs of a second phase"):
        FewShots(1, "", schedule="head", epochs=3)
    assert [rule.most for rule in FEW_SHOTS] == sorted(rule.most for rule in FEW_SHOTS)
