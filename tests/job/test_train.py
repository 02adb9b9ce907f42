"""What a training may be asked for, and what `run.json` and the plan say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer import ModelError, RunError, ScheduleError, UsageError, WeightsError
from tfxfer.device import Device
from tfxfer.errors import UnknownBackboneError, UnknownHeadError
from tfxfer.job.plan_text import describe_plan
from tfxfer.job.request import TrainRequest, check_place, check_request
from tfxfer.job.train import train_run
from tfxfer.run.directory import Manifest, RunDirectory
from tfxfer.schedule import Phase
from tfxfer.system.files import to_plain
from tfxfer.training.plan import FitPlan, PhasePlan

REQUEST = TrainRequest(data="photos", backbone="double_tiny", weights="none")


@pytest.fixture
def double(install_doubles: Callable[..., None]) -> Iterator[None]:
    """Installs the backbone that `REQUEST` names."""
    from tfxfer.registry.lookup import default_registry

    install_doubles("good_backbone")
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


def test_a_request_goes_round_through_json() -> None:
    request = replace(REQUEST, unfreeze_from=0.5, head_options={"dropout": 0.1}, views=3)
    assert TrainRequest.from_dict(to_plain(asdict(request))) == request
    with pytest.raises(RunError, match="surprise"):
        TrainRequest.from_dict({**asdict(request), "surprise": 1})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "three_phase"}, "two_phase, progressive, head"),
        ({"batch_size": 0}, "batch size"),
        ({"views": 0}, "views"),
        ({"seed": -1}, "seed"),
        ({"budget_seconds": 60.0, "views": 2}, "and views"),
        ({"budget_seconds": 60.0, "epochs": 2, "unfreeze_from": 0.5}, "epochs, unfreeze_from"),
        ({"budget_seconds": 60.0, "schedule": "head"}, "and schedule"),
    ],
)
def test_requests_that_cannot_be_meant(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(REQUEST, **changes)


def test_schedules() -> None:
    def stages(**changes: Any) -> list[tuple[Any, int]]:
        made = replace(REQUEST, **changes).make_schedule()
        return [(phase.stage, phase.epochs) for phase in made]

    assert stages(head_epochs=3, epochs=4, unfreeze_from=0.25) == [("backbone", 3), (0.25, 4)]
    assert stages(unfreeze_from="block_2")[1][0] == "block_2"
    assert stages(schedule="head", head_epochs=3) == [("backbone", 3)]
    assert len(stages(schedule="progressive", epochs=1)) == 4
    assert stages(schedule="scratch", epochs=9) == [(None, 9)]
    for schedule, option in (
        ("progressive", "unfreeze_from"),
        ("head", "unfreeze_from"),
        ("head", "epochs"),
        ("scratch", "head_epochs"),
    ):
        with pytest.raises(UsageError, match="--" + option.replace("_", "-")):
            stages(schedule=schedule, **{option: 1})


def test_check_request(double: None, tmp_path: Path) -> None:
    backbone, head, schedule = check_request(replace(REQUEST, head_options={"dropout": 0.0}))
    assert (backbone.name, head.name) == ("double_tiny", "classification")
    assert head.options()["dropout"] == 0.0
    assert [phase.name for phase in schedule] == ["head", "fine_tune"]
    for changes, kind in (
        ({"backbone": "double_tini"}, UnknownBackboneError),
        ({"head": "nothing"}, UnknownHeadError),
        ({"unfreeze_from": "block_9"}, ScheduleError),
        ({"weights": "default"}, WeightsError),
        ({"weights": str(tmp_path / "no.h5")}, WeightsError),
        ({"image_size": 15}, ModelError),
        ({"cache_dir": str(tmp_path / "nothing")}, UsageError),
        ({"head": "regression", "balance": "weights"}, UsageError),
        ({"budget_seconds": 60.0, "cache": False}, UsageError),
        ({"weights": "w" * 400}, WeightsError),
    ):
        with pytest.raises(kind):
            check_request(replace(REQUEST, **changes))


def test_check_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_place(tmp_path)
    check_place(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    check_place("relative")
    (tmp_path / "file").write_text("")
    for out in ("file", "file/run", "x" * 300):
        with pytest.raises(RunError, match="cannot make a run at"):
            check_place(out)
    with pytest.raises(RunError, match="which is no run"):
        check_place(tmp_path, overwrite=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(RunError, match="may not write to"):
        check_place("relative")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_that_is_done_is_returned_as_it_is(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.write_manifest(Manifest(backbone="gone", head="gone", status="done"))
    before = run.manifest_path.stat().st_mtime_ns
    request = replace(REQUEST, backbone="gone", data="gone")
    assert train_run(request, run.path, resume=True).path == run.path
    assert run.manifest_path.stat().st_mtime_ns == before


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
        "batch": "32 images, 4 views of each",
        "phase head": "frozen up to backbone, 2,562 trainable parameters, at most 10 epochs at "
        "0.001, from cached activations of the plain images",
        "phase fine_tune": "nothing frozen, 3,400,000 trainable parameters, at most 12 epochs at "
        "0.0002, from pixels",
        "stages": "none inside the backbone: it trains as a whole",
        "cache": "3 MiB on disk in /scratch",
        "expected time": "about 1 min 35 s",
    }
    hurried = replace(REQUEST, budget_seconds=60.0)
    late = describe_plan(plan, hurried, device, 95, late=True)[-1]
    assert late.value == "about 1 min 35 s, more than the budget leaves: it will stop early"
    # A resumed training has measured nothing.
    assert describe_plan(plan, REQUEST, device, None)[-1].what == "cache"


def test_random_weights_that_are_partly_frozen_are_pointed_out() -> None:
    plan = FitPlan((), views=1, cache_bytes=0, cache_place="none", cache_folder="")
    for schedule, told in (("two_phase", True), ("scratch", False)):
        request = replace(REQUEST, weights="none", schedule=schedule)
        lines = {
            line.what: line.value for line in describe_plan(plan, request, Device("cpu", "CPU"), 1)
        }
        assert ("weights" in lines) == told
