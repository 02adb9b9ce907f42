"""What a backbone says of its own fine-tuning, and who follows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import (
    BACKBONE_END,
    Backbone,
    ContractError,
    FineTuning,
    Losses,
    fit,
    progressive,
    two_phase,
)
from tfxfer.device import Device
from tfxfer.fine_tuning import OPTIMIZERS
from tfxfer.job.plan_text import describe_plan
from tfxfer.job.request import TrainRequest
from tfxfer.schedule import Phase
from tfxfer.standard_schedules import follow_advice, from_scratch, list_phases
from tfxfer.training.budget import choose_schedule
from tfxfer.training.cost import Workload
from tfxfer.training.ladder import list_rungs, make_phases
from tfxfer.training.options import choose_views
from tfxfer.training.plan import FitPlan, PhasePlan
from tfxfer.training.speeds import Speeds
from tfxfer.trust.advice import Evidence, StageProbe, choose_strategy

OWN = FineTuning(
    head_epochs=20,
    head_rate=2e-3,
    epochs=3,
    rate=5e-5,
    unfreeze_from=None,
    stage_decay=0.9,
    warmup=0.2,
    optimizer="adamw",
    weight_decay=0.01,
    average=False,
    views=2,
    scratch_rate=1e-4,
    losses=Losses(
        by_frontier=((0.0, 0.0), (0.5, 1.0)),
        by_views=((1, 0.0),),
        by_epochs=((3, 0.0), (1, 1.0)),
        head_only=4.0,
        longest_epochs=4,
    ),
    sources=("Devlin et al. 2019",),
)
STAGES = ["stem", "block_1", "block_2", "block_3", BACKBONE_END]


def test_a_backbone_that_says_nothing_trains_as_images_do() -> None:
    said = FineTuning()
    assert follow_advice(said) == two_phase() == list_phases(None) == list_phases("two_phase")
    assert follow_advice(said, "progressive") == progressive()
    assert follow_advice(said, "head") == two_phase(epochs=0)
    assert follow_advice(said, "scratch") == from_scratch()
    assert TrainRequest("photos", "tiny").make_schedule() == two_phase()
    last = make_phases(
        next(x for x in list_rungs(said, sizes=(1.0, 0.7)) if x.has_last),
        STAGES,
        size=100,
        advice=said,
    )[-1]
    assert last == Phase("full_size", "block_2", 1, 3e-4, views=1, average=True)


def test_each_schedule_follows_what_is_said() -> None:
    head, tuned = list_phases(None, OWN)
    assert head == Phase("head", BACKBONE_END, 20, 2e-3, patience=10, views=1)
    assert tuned == Phase(
        "fine_tune", None, 3, 5e-5,
        stage_decay=0.9, warmup=0.2, optimizer="adamw", weight_decay=0.01,
    )  # fmt: skip
    (only,) = list_phases("head", OWN)
    assert (only.epochs, only.learning_rate, only.views) == (20, 2e-3, None)
    first, second, *_ = list_phases("progressive", OWN)[1:]
    assert (first.epochs, first.learning_rate, first.optimizer) == (3, 2.5e-5, "adamw")
    assert (second.learning_rate, second.stage_decay, second.average) == (1.25e-5, 0.85, False)
    assert list_phases("scratch", OWN) == from_scratch(rate=1e-4)
    # What is asked for wins, the rest stays.
    asked = TrainRequest("texts", "tiny", epochs=7, unfreeze_from=0.5).make_schedule(OWN)
    assert asked == (head, replace(tuned, epochs=7, stage=0.5))
    assert TrainRequest("texts", "tiny", schedule="scratch", epochs=7).make_schedule(OWN) == (
        from_scratch(epochs=7, rate=1e-4)
    )


def test_views_are_those_that_are_said_where_samples_vary() -> None:
    assert [choose_views(level, OWN) for level in ("none", "light")] == [1, 2]
    assert [choose_views(level, FineTuning()) for level in ("none", "light")] == [1, 8]


def test_a_budget_chooses_among_trainings_of_that_kind() -> None:
    rungs = list_rungs(OWN)
    assert {(x.frontier, x.epochs, x.views) for x in rungs} == {
        (0.0, 3, 1), (0.0, 1, 1), (0.5, 3, 1), (0.5, 1, 1), (None, 0, 1),
    }  # fmt: skip
    assert rungs[0].loss == 0
    assert [x.head_epochs for x in rungs if x.frontier is None] == [20, 2]
    shares: dict[str | None, float] = dict.fromkeys(STAGES, 0.5)
    shares |= {None: 1.0, BACKBONE_END: 0.0}
    speeds, work = Speeds(0.0, 0.0, 0.001, 0.001, 0.0), Workload(100, 10, 10, 10)

    def choose(seconds: float) -> Any:
        return choose_schedule(speeds, shares, STAGES, seconds=seconds, work=work, advice=OWN)

    rich = choose(1e6).schedule[1]
    assert (rich.stage, rich.optimizer, rich.learning_rate) == (None, "adamw", 5e-5)
    assert (rich.epochs, rich.longest) == (3, 4)
    (poor,) = choose(2.8).schedule
    assert (poor.name, poor.learning_rate) == ("head", 2e-3)


@pytest.fixture
def talking(tiny_backbone: type[Backbone]) -> Backbone:
    """The tiny backbone, which says how it wants to be trained."""
    said = replace(OWN, head_epochs=1, epochs=1, unfreeze_from=0.5)
    return type("Talking", (tiny_backbone,), {"fine_tuning": said})()


class Spy(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(self.model.optimizer)


def train(model: Any, pair: Callable[..., Any], **options: Any) -> tuple[Any, list[Any]]:
    spy = Spy()
    history = fit(model, pair(), batch_size=8, verbose=0, callbacks=[spy], **options)
    return history, spy.seen


def test_fit_without_a_schedule_follows_the_models_backbone(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], talking: Backbone
) -> None:
    history, seen = train(make_tiny(backbone=talking), pair)
    assert [record.name for record in history.state.records] == ["head", "fine_tune"]
    assert [record.learning_rate for record in history.state.records] == [2e-3, 5e-5]
    head, tuned = seen
    assert isinstance(head, keras.optimizers.Adam)
    assert not isinstance(head, keras.optimizers.AdamW)
    assert {type(x) for x in tuned.optimizers} == {keras.optimizers.AdamW}
    assert {x.weight_decay for x in tuned.optimizers} == {0.01}
    # The same model, told otherwise.
    history, (seen_head,) = train(make_tiny(backbone=talking), pair, schedule="head")
    assert [record.name for record in history.state.records] == ["head"]
    assert type(seen_head) is keras.optimizers.Adam


def test_an_optimizer_that_a_user_compiled_with_is_said(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], talking: Backbone
) -> None:
    model = make_tiny(backbone=talking)
    model.compile(keras.optimizers.RMSprop(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    with pytest.warns(UserWarning, match="the compiled RMSprop"):
        _, (head, tuned) = train(model, pair)
    assert isinstance(head, keras.optimizers.RMSprop)
    assert {type(x) for x in tuned.optimizers} == {keras.optimizers.RMSprop}


def test_the_plan_names_the_optimizer_and_the_papers() -> None:
    item = PhasePlan(follow_advice(OWN)[1], 10, True, False, 1)
    plan = FitPlan((item, item), views=1, cache_bytes=0, cache_place="none", cache_folder="")
    request = TrainRequest("texts", "tiny")
    lines = describe_plan(plan, request, Device("cpu", "CPU"), 1, advice=OWN)
    told = {line.what: line.value for line in lines}
    assert "at most 3 epochs at 5e-05 of adamw, from cached" in told["phase fine_tune"]
    assert told["fine-tuning"] == "after Devlin et al. 2019"
    assert "stages" not in told  # it trains as a whole since its backbone says so
    silent = describe_plan(plan, request, Device("cpu", "CPU"), 1, advice=FineTuning())
    assert "fine-tuning" not in {line.what for line in silent}


def test_advice_goes_no_deeper_than_a_backbone_that_trains_as_a_whole() -> None:
    def probe(stage: str, depth: float, gain: float) -> StageProbe:
        return StageProbe(
            stage,
            depth,
            {"value": 0.7, "low": 0.6, "high": 0.8},
            {"value": gain, "low": gain, "high": gain},
        )

    evidence = Evidence(
        "tiny", 64, 500, 2, 100, (probe("block_1", 0.4, 5.0), probe("backbone", 1.0, 0.0)),
        1.0, None, "nobody knows", 60.0,
    )  # fmt: skip
    assert choose_strategy(evidence).unfreeze_from == 0.4
    found = choose_strategy(evidence, OWN)
    assert found.to_request() == {"schedule": "two_phase"}
    assert found.reasons[-1].endswith("the head first, then all of it")
    deep = choose_strategy(replace(evidence, probes=evidence.probes[1:]), OWN)
    assert deep.to_request() == {"schedule": "two_phase"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"rate": -1e-5}, "rates above 0"),
        ({"rate": "fast"}, "a number as rate"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"unfreeze_from": 1.5}, "unfreeze_from"),
        ({"warmup": 1.0}, "warmup"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"views": 0}, "views"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        FineTuning(**changes)
    with pytest.raises(ContractError, match="by_epochs"):
        Losses(by_epochs=((1, 2, 3),))  # type: ignore[arg-type]


def test_every_optimizer_that_can_be_said_can_be_made() -> None:
    for name in OPTIMIZERS:
        assert follow_advice(FineTuning(optimizer=name))[1].optimizer == name
    assert dataclasses.asdict(OWN)["sources"] == ("Devlin et al. 2019",)
    assert hash(OWN) == hash(replace(OWN))


def test_layer_normalization_trains_with_its_block_and_batch_normalization_does_not(
    make_tiny: Callable[..., Any], pair: Callable[..., Any], tiny_backbone: type[Backbone]
) -> None:
    def build(self: Any, inputs: Any) -> Any:
        features = tiny_backbone.build(self, inputs)
        return keras.layers.LayerNormalization(name="block_3_norm")(features)

    normalized = type("Normalized", (tiny_backbone,), {"build": build})

    def weights_of(model: Any, kind: type) -> list[np.ndarray]:
        layers = [x for x in model.layers if isinstance(x, kind)]
        return [np.array(weight) for layer in layers for weight in layer.weights]

    for stage, moves in ((0.5, True), (BACKBONE_END, False)):
        model = make_tiny(backbone=normalized())
        before = {
            kind: weights_of(model, kind)
            for kind in (keras.layers.LayerNormalization, keras.layers.BatchNormalization)
        }
        train(model, pair, schedule=[Phase("only", stage, 2, 1e-2)])
        for kind, moved in (
            (keras.layers.LayerNormalization, moves),
            (keras.layers.BatchNormalization, False),
        ):
            after = weights_of(model, kind)
            assert before[kind]
            changed = any(
                not np.array_equal(x, y) for x, y in zip(before[kind], after, strict=True)
            )
            assert changed == moved, (stage, kind)
