from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import RunDirectory, RunError
from tfxfer.job.checkpoint import load_checkpoint, save_checkpoint
from tfxfer.schedule import FitState, PhaseResult

PHASE = PhaseResult("head", "backbone", 2, 1e-3, 27, True, 1.5, {"loss": [0.5, 0.25]})
STATE = FitState((PHASE,), (0.75, -0.25), 0.8, 1, "head")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run")


def are_equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))


def test_a_checkpoint_brings_weights_and_state_back(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    model, other = make_tiny(), make_tiny(seed=1)
    save_checkpoint(run, model, STATE)
    assert not are_equal(model.get_weights(), other.get_weights())
    assert load_checkpoint(run, other) == STATE
    assert are_equal(model.get_weights(), other.get_weights())
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["1-head.npz", "state.json"]


def test_the_last_phase_is_gone_on_with(run: RunDirectory, make_tiny: Callable[..., Any]) -> None:
    first, second = make_tiny(), make_tiny(seed=1)
    later = FitState((PHASE, replace(PHASE, name="fine_tune")), (0.9, -0.1), 0.9, 3, "fine_tune")
    save_checkpoint(run, first, STATE)
    save_checkpoint(run, second, later)
    assert load_checkpoint(run, first) == later
    assert are_equal(first.get_weights(), second.get_weights())


def test_a_run_without_a_finished_phase_has_none(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    model = make_tiny()
    before = model.get_weights()
    assert load_checkpoint(run, model) is None
    assert are_equal(before, model.get_weights())


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run.checkpoints / "state.json").write_text("{"),
        lambda run: (run.checkpoints / "state.json").write_text('{"state": {}}'),
        lambda run: (run.checkpoints / "1-head.npz").unlink(),
        lambda run: (run.checkpoints / "1-head.npz").write_bytes(b"PK no zip"),
        lambda run: (run.checkpoints / "state.json").write_text(
            json.dumps({"weights": "1-head.npz", "state": {"surprise": 1}})
        ),
    ],
)
def test_a_damaged_checkpoint_is_named(
    run: RunDirectory, make_tiny: Callable[..., Any], damage: Callable[[RunDirectory], Any]
) -> None:
    save_checkpoint(run, make_tiny(), STATE)
    damage(run)
    with pytest.raises(RunError, match=r"run '.*run': .*checkpoint.* Train anew with --overwrite"):
        load_checkpoint(run, make_tiny())


def test_weights_of_another_network_are_refused(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    save_checkpoint(run, make_tiny(labels=4), STATE)
    with pytest.raises(RunError, match="Train anew with --overwrite"):
        load_checkpoint(run, make_tiny())
