"""`tfxfer advise`, and `tfxfer train --plan`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_a_plan_is_what_train_takes(
    tfxfer: Run, photos: Path, weights: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    done = tfxfer(
        "advise", photos, "--backbone", "double_vivid", "--weights", weights, "--out", plan
    )
    assert done.code == 0, done.stderr
    assert f"next   tfxfer train --plan {plan}" in done.stdout
    document = json.loads(plan.read_text())
    assert document["request"]["backbone"] == "double_vivid"
    (evidence,) = document["evidence"]
    assert [probe["stage"] for probe in evidence["probes"]][-1] == "backbone"
    assert evidence["probes"][-1]["figure"]["value"] > 0.9
    assert evidence["groups"] == 3
    done = tfxfer("train", "--plan", plan, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.stderr
    asked = done.document["request"]
    assert {key: asked[key] for key in document["request"]} == document["request"]


def test_without_a_file_the_options_are_told(tfxfer: Run, photos: Path, weights: Path) -> None:
    done = tfxfer("advise", photos, "--backbone", "double_vivid", "--weights", weights)
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith(f"next   tfxfer train {photos} --backbone double_vivid")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epochs", "3"), "--plan says how to train. Received: --epochs beside it"),
        (("OTHER",), "--plan was made for"),
    ],
)
def test_a_plan_is_not_mixed_with_something_else(
    tfxfer: Run, photos: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    from tfxfer.trust.advice import Advice

    plan = tmp_path / "plan.json"
    Advice({"data": str(photos), "backbone": "double_vivid"}, 1.0, (), (), ()).write(plan)
    done = tfxfer("train", "--plan", plan, *words)
    assert done.code == 2
    assert said in done.error


@pytest.mark.parametrize(
    "more", [{"cache": False}, {"augment": "none", "batch_size": 4}, {"nothing": 1}]
)
def test_what_no_advice_says_is_refused(
    tfxfer: Run, photos: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    from tfxfer.trust.advice import Advice

    plan = tmp_path / "plan.json"
    Advice({"data": str(photos), "backbone": "double_vivid", **more}, 1.0, (), (), ()).write(plan)
    done = tfxfer("train", "--plan", plan, "--augment", "light", "--out", tmp_path / "run")
    assert done.code == 1
    assert f"Received: {', '.join(more)} in it." in done.error
    assert not (tmp_path / "run").exists()


def test_an_earlier_plan_is_replaced_when_told_to(
    tfxfer: Run, photos: Path, weights: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("mine")
    words = ("advise", photos, "--backbone", "double_vivid", "--weights", weights, "--out", plan)
    refused = tfxfer(*words)
    assert refused.code == 1
    assert "To replace it: --overwrite" in refused.error
    assert plan.read_text() == "mine"
    assert tfxfer(*words, "--overwrite").code == 0
    assert json.loads(plan.read_text())["request"]["backbone"] == "double_vivid"


def test_wrong_input_is_told_at_once(tfxfer: Run, photos: Path, tmp_path: Path) -> None:
    done = tfxfer("train", "--plan", tmp_path / "none.json")
    assert done.code == 1
    assert "a plan, as `tfxfer advise --out` writes it" in done.error
    done = tfxfer("advise", photos, "--backbone", "double_vivid", "--out", "no/such/plan.json")
    assert done.code == 1
    assert "no such folder to put it in" in done.error
    assert tfxfer("advise", tmp_path / "none", "--backbone", "double_vivid").code == 1


def test_a_budget_is_planned_for_with_what_is_left_of_it(
    tfxfer: Run, photos: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfxfer.cli.report import find_reserve
    from tfxfer.job import advise

    given: list[dict[str, Any]] = []
    choose = advise.choose_schedule

    def watch(*args: Any, **options: Any) -> Any:
        given.append(options)
        return choose(*args, **options)

    monkeypatch.setattr(advise, "choose_schedule", watch)
    done = tfxfer(
        "advise", photos, "--backbone", "double_vivid", "--weights", weights, "--budget", "10m",
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.document["request"]["budget_seconds"] == 600
    # `train` reads the samples, measures, saves and makes its page within the same time.
    assert 0 < given[0]["seconds"] < 600 - advise.RESERVE_SECONDS - find_reserve(600)
    assert given[0]["augment"] is True
