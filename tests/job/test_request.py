"""What a training may be asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer import RunError, UsageError
from tfxfer.job.request import TrainRequest
from tfxfer.system.files import to_plain

REQUEST = TrainRequest(data="photos", backbone="double_tiny", weights="none")


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


def test_paths_are_good_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photos", "cache", "imagenet"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.h5").touch()
    monkeypatch.chdir(tmp_path)
    asked = TrainRequest("photos", "tiny", weights="mine.h5", cache_dir="cache")
    found = asked.with_absolute_paths()
    assert found.data == str(tmp_path / "photos")
    assert found.weights == str(tmp_path / "mine.h5")
    assert found.cache_dir == str(tmp_path / "cache")
    assert found.with_absolute_paths() == found


def test_names_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("imagenet", "none", "default"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("imagenet", "none", "default"):
        asked = TrainRequest("demo:elpv", "tiny", weights=name)
        assert asked.with_absolute_paths(["imagenet"]) == asked


def test_a_request_of_0_1_is_read() -> None:
    old = asdict(REQUEST)
    del old["size"], old["view_options"]
    found = TrainRequest.from_dict(
        {**old, "image_size": 96, "flip": False, "head": "classification"}
    )
    assert found == replace(REQUEST, size=96, view_options={"flip": False}, head="classification")
    assert TrainRequest.from_dict({**old, "image_size": None, "flip": True}).view_options == {
        "flip": True
    }
