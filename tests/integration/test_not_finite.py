"""`tfxfer train` whose loss becomes NaN: it says where, and keeps the best epoch there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def ruin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the optimizer of one phase leave weights that overflow."""
    from tfxfer.training import phase as module

    make = module.make_optimizer

    def apply(name: str) -> None:
        def overflow(model: Any, phase: Any, **options: Any) -> Any:
            if phase.name == name:
                phase = replace(
                    phase, learning_rate=1e38, optimizer="sgd", warmup=0, decay="constant"
                )
            return make(model, phase, **options)

        monkeypatch.setattr(module, "make_optimizer", overflow)

    return apply


def test_the_best_epoch_before_is_kept_and_measured(
    ruin: Callable[[str], None], photos: Path, train: Run, tfxfer: Run, quick: Any, tmp_path: Path
) -> None:
    ruin("fine_tune")
    done = train(photos, "--out", tmp_path / "run", *quick, "--json")
    assert done.code == 0, done.stderr
    document = done.document
    assert document["status"] == "done"
    (found,) = [item for item in document["findings"] if item["kind"] == "not_finite"]
    assert (found["phase"], found["epoch"], found["action"]) == ("fine_tune", 2, "stop")
    assert " in batch 2 of " in found["message"]
    names = found["message"].split(", on ")[1].split(" and ")[0].split(", ")
    split = (tmp_path / "run" / "split.csv").read_text("utf-8")
    assert len(names) == 8
    assert all(f"{name}," in split for name in names)
    assert found["message"] in done.stderr
    # The phase before is what was measured, and what evaluates the same.
    assert [item["name"] for item in document["phases"]] == ["head"]
    assert 0 <= document["metrics"]["test"]["accuracy"]["value"] <= 1
    again = tfxfer("evaluate", tmp_path / "run", photos, "--json")
    assert again.code == 0, again.stderr
    assert again.document["confusion"] == document["metrics"]["test"]["confusion"]


def test_without_an_epoch_to_keep_it_is_an_error(
    ruin: Callable[[str], None], photos: Path, train: Run, quick: Any, tmp_path: Path
) -> None:
    ruin("head")
    done = train(photos, "--out", tmp_path / "run", *quick, "--json")
    assert done.code == 1
    assert "expected a finite loss" in done.error
    assert "no epoch before it had a finite loss" in done.error
    assert not (tmp_path / "run" / "model.keras").exists()
    status = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["status"]
    assert status == "interrupted"
