"""The command that repeats a training is one that `tfxfer train` takes, and asks for the same."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import click
import pytest

from tfxfer.cli.train import command
from tfxfer.job.command_line import write_command
from tfxfer.job.request import TrainRequest

CHANGED: dict[str, Any] = {
    "head": "multilabel",
    "weights": "my weights.npz",
    "size": 96,
    "schedule": "progressive",
    "head_epochs": 3,
    "epochs": 4,
    "batch_size": 8,
    "augment": "strong",
    "view_options": {"flip": False},
    "views": 2,
    "balance": "weights",
    "seed": 7,
    "device": "cpu",
    "cache": False,
    "cache_dir": "a folder",
    "strict": True,
    "split_from": "runs/1",
    "slices": "more.csv",
    "calibrate": False,
    "baselines": ("probe", "scratch"),
    "on_collapse": "stop",
    "fair": "equal_opportunity",
    "slice": "hospital",
    "sample_column": "message",
    "label_column": "kind",
    "shots": "auto",
}
# What is not asked for together with some of these.
BESIDE: tuple[dict[str, Any], ...] = (
    {"target": "a camera", "adapt": "coral"},
    {"domain": "camera", "leave_out": "phone", "target": "a camera", "reweight": "target"},
    {"target": "a camera", "adapt": "dann", "adapt_strength": 0.5},
    {"target": "a camera", "adapt": "coral", "style": "a look", "style_method": "fda"},
    {"from_run": "runs/1", "keep": "l2sp", "keep_strength": 0.5, "replay": 10},
)
# What click calls the same.
PARAMS = {
    "view_options": ("no_flip", True),
    "cache": ("no_cache", True),
    "calibrate": ("no_calibration", True),
}


def parse(words: str) -> dict[str, Any]:
    program, name, *rest = shlex.split(words)
    assert (program, name) == ("tfxfer", "train")
    with click.Context(click.Group()):
        found: dict[str, Any] = command.make_context("train", rest).params
    return found


@pytest.mark.parametrize("changed", [CHANGED, *BESIDE])
def test_every_option_comes_back(changed: dict[str, Any]) -> None:
    request = TrainRequest("my photos", "tiny", **changed)
    params = parse(write_command(request))
    assert params["data"] == "my photos"
    assert params["backbone"] == "tiny"
    for name, value in changed.items():
        key, wanted = PARAMS.get(name, (name, value))
        assert params[key] == wanted, name


def test_no_field_is_forgotten() -> None:
    fields = {item.name for item in dataclasses.fields(TrainRequest)}
    # Not typed together with these, or never typed.
    apart = {"data", "backbone", "budget_seconds", "unfreeze_from", "head_options"}
    assert set().union(CHANGED, *BESIDE) == fields - apart


def test_what_excludes_others() -> None:
    assert parse(write_command(TrainRequest("d", "b", budget_seconds=90.5)))["budget"] == 90.5
    stage = write_command(TrainRequest("d", "b", unfreeze_from="block_3"))
    assert parse(stage)["unfreeze_from"] == "block_3"


def test_defaults_are_not_typed() -> None:
    assert write_command(TrainRequest("d", "b")) == "tfxfer train d --backbone b"


def test_an_option_that_train_does_not_have_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse("tfxfer train d --no-such")
