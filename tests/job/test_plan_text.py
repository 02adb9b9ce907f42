"""What is printed of a plan before a training starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfxfer.device import Device
from tfxfer.job.plan_text import describe_plan
from tfxfer.job.request import TrainRequest
from tfxfer.schedule import Phase
from tfxfer.training.plan import FitPlan, PhasePlan

REQUEST = TrainRequest(data="photos", backbone="double_tiny", weights="none")


def test_the_plan_in_words() -> None:
    plan = FitPlan(
        (
            PhasePlan(Phase("head", "backbone", 10, 1e-3), 2562, True, False, 1),
            PhasePlan(Phase("fine_tune", None, 12, 2e-4), 3_400_000, False, False, 4),
        ),
        views=4,
        cache_bytes=3 * 2**20,
        cache_place="disk",
        cache_folder="/scratch",
    )
    device = Device("gpu", "GPU:0", precision="mixed_bfloat16")
    trained = replace(REQUEST, weights="default")
    lines = {line.what: line.value for line in describe_plan(plan, trained, device, 95)}
    assert lines == {
        "device": "gpu (GPU:0), mixed_bfloat16",
        "batch": "32 samples, 4 views of each",
        "phase head": "frozen up to backbone, 2,562 trainable parameters, at most 10 epochs at "
        "0.001, from cached activations of the plain samples",
        "phase fine_tune": "nothing frozen, 3,400,000 trainable parameters, at most 12 epochs at "
        "0.0002, through the whole network",
        "stages": "none inside the backbone: it trains as a whole",
        "cache": "3 MiB on disk in /scratch",
        "expected time": "about 1 min 35 s",
    }
    hurried = replace(REQUEST, budget_seconds=60.0)
    late = describe_plan(plan, hurried, device, 95, late=True)[-1]
    assert late.value == "about 1 min 35 s, more than the budget leaves: it will stop early"
    # A resumed training has measured nothing.
    assert describe_plan(plan, REQUEST, device, None)[-1].what == "cache"
    told = {line.what: line.value for line in describe_plan(plan, REQUEST, device, None, few=16)}
    assert told["kept epoch"].startswith("the last one: 16 validation samples are too few")


def test_what_is_computed_has_no_epochs() -> None:
    phase = PhasePlan(Phase("head", "backbone", 1, 1e-3), 2562, True, False, 1, closed_form=True)
    plan = FitPlan((phase,), views=1, cache_bytes=0, cache_place="none", cache_folder="")
    lines = {line.what: line.value for line in describe_plan(plan, REQUEST, Device("cpu", ""), 1)}
    assert lines["phase head"] == (
        "frozen up to backbone, 2,562 parameters, computed without training"
    )


def test_random_weights_that_are_partly_frozen_are_pointed_out() -> None:
    plan = FitPlan((), views=1, cache_bytes=0, cache_place="none", cache_folder="")
    batch = describe_plan(plan, REQUEST, Device("cpu", "CPU"), None)[1]
    assert batch.value == "32 samples, as they are"
    for schedule, told in (("two_phase", True), ("scratch", False)):
        request = replace(REQUEST, weights="none", schedule=schedule)
        lines = {
            line.what: line.value for line in describe_plan(plan, request, Device("cpu", "CPU"), 1)
        }
        assert ("weights" in lines) == told


def test_what_gets_another_look_is_said() -> None:
    head = PhasePlan(Phase("head", "backbone", 10, 1e-3), 2562, True, False, 1)
    upper = PhasePlan(Phase("fine_tune", "block_2", 12, 2e-4), 34_000, True, False, 4)

    def tell(method: str, *phases: PhasePlan) -> str:
        plan = FitPlan(phases, views=4, cache_bytes=0, cache_place="memory", cache_folder="")
        request = replace(REQUEST, style="a camera", style_method=method)
        found = describe_plan(plan, request, Device("cpu", "CPU"), None)
        return next(line.value for line in found if line.what == "style")

    views = "half of the varied views get it"
    maps = "activations of phase fine_tune are mixed with its own"
    assert tell("fda", head, upper) == f"of a camera: {views}"
    assert tell("mixstyle", head, upper) == f"of a camera: {maps}"
    assert tell("both", head, upper) == f"of a camera: {views} and {maps}"
    assert tell("both", head) == f"of a camera: {views}"
    whole = replace(upper, cached=False)
    assert tell("mixstyle", head, whole).startswith("of a camera: nothing gets it, since no phase")


def test_what_is_gone_on_from_and_what_is_kept_is_said() -> None:
    plan = FitPlan((), views=1, cache_bytes=0, cache_place="none", cache_folder="")
    request = replace(
        REQUEST, weights="default", from_run="runs/1", keep="l2sp", keep_strength=2.0, replay=10,
        balance="oversample",
    )  # fmt: skip
    found = describe_plan(plan, request, Device("cpu", "CPU"), None)
    lines = {line.what: line.value for line in found}
    assert lines["from"] == (
        "runs/1; 10 samples of each of its labels again, rare labels drawn more often"
    )
    assert lines["keep"] == "l2sp: weights stay near those the training begins with, strength 2"
    plain = describe_plan(plan, REQUEST, Device("cpu", "CPU"), None)
    assert not {"from", "keep"} & {line.what for line in plain}


def test_how_sources_are_drawn_and_samples_weighed_is_said() -> None:
    plan = FitPlan((), views=1, cache_bytes=0, cache_place="none", cache_folder="")

    def describe(**changes: Any) -> dict[str, str]:
        request = replace(REQUEST, **changes)
        found = describe_plan(plan, request, Device("cpu", "CPU"), None)
        return {line.what: line.value for line in found}

    lines = describe(domain="camera", leave_out="phone")
    assert lines["sources"] == (
        "by camera, as many samples of each in an epoch; phone is left out, and is the test"
    )
    both = describe(domain="camera", target="factory")
    assert "nearer they are to the target" in both["sources"]
    assert "target" in both
    weighted = describe(domain="camera", target="factory", reweight="target")
    assert weighted["sources"] == "by camera, each sample once an epoch"
    assert "--adapt auto fits it, too" in weighted["reweight"]
    assert "target" not in weighted
    asked = describe(target="factory", reweight="target", adapt="coral")
    assert asked["target"] == "the last layer is fitted to it afterwards: coral"
    assert "--adapt" not in asked["reweight"]
