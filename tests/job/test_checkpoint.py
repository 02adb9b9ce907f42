from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer import RunDirectory, RunError
from tfxfer.job.checkpoint import Checkpoints, is_due
from tfxfer.schedule import FitState, PhaseResult
from tfxfer.training.snapshot import PhaseProgress, Snapshot

PHASE = PhaseResult("head", "backbone", 2, 1e-3, 27, True, 1.5, {"loss": [0.5, 0.25]})
STATE = FitState((PHASE,), (0.75, -0.25), 0.8, 1, "head")
PROGRESS = PhaseProgress(
    epochs=2,
    seconds=3.5,
    history={"loss": [0.1, 0.3]},
    waited=1,
    averaging=(7, 3),
    pace={"total": 4},
    callbacks=([1, 2], {"said": []}),
)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run")


def are_equal(first: Any, second: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))


def make_snapshot(model: Any, epochs: int = 2) -> Snapshot:
    arrays = (np.arange(12, dtype=np.float32).reshape(3, 4), np.array([1, 2], np.uint32))
    return Snapshot(
        STATE,
        tuple(model.get_weights()),
        replace(PROGRESS, epochs=epochs),
        network=arrays,
        optimizer=(np.array(epochs), *arrays[:1]),
        own=arrays,
    )


def list_files(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def test_a_checkpoint_brings_weights_and_state_back(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    model, other = make_tiny(), make_tiny(seed=1)
    Checkpoints(run).keep_phase(model, STATE)
    assert not are_equal(model.get_weights(), other.get_weights())
    found = Checkpoints(run).restore(other)
    assert found is not None
    assert (found.state, found.progress) == (STATE, None)
    assert are_equal(model.get_weights(), other.get_weights())
    assert list_files(run) == ["1-head.npz", "state.json"]


def test_an_epoch_comes_back_whole(run: RunDirectory, make_tiny: Callable[..., Any]) -> None:
    model, other = make_tiny(), make_tiny(seed=1)
    kept = make_snapshot(model)
    checkpoints = Checkpoints(run)
    checkpoints.keep_phase(model, STATE)
    checkpoints.keep_epoch(kept)
    checkpoints.save_pending()
    assert list_files(run) == ["1-head-epoch-2.npz", "state.json"]
    found = Checkpoints(run).restore(other)
    assert found is not None
    assert (found.state, found.progress) == (kept.state, kept.progress)
    assert are_equal(other.get_weights(), model.get_weights())
    for part in ("network", "optimizer", "average", "own"):
        before, after = getattr(kept, part), getattr(found, part)
        assert are_equal(before, after)
        assert [x.dtype for x in before] == [x.dtype for x in after]


def test_the_last_phase_is_gone_on_with(run: RunDirectory, make_tiny: Callable[..., Any]) -> None:
    first, second = make_tiny(), make_tiny(seed=1)
    later = FitState((PHASE, replace(PHASE, name="fine_tune")), (0.9, -0.1), 0.9, 3, "fine_tune")
    checkpoints = Checkpoints(run)
    checkpoints.keep_phase(first, STATE)
    checkpoints.keep_phase(second, later)
    found = Checkpoints(run).restore(first)
    assert found is not None
    assert found.state == later
    assert are_equal(first.get_weights(), second.get_weights())
    assert list_files(run) == ["2-fine_tune.npz", "state.json"]


def test_a_run_without_a_finished_epoch_has_none(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    model = make_tiny()
    before = model.get_weights()
    assert Checkpoints(run).restore(model) is None
    assert are_equal(before, model.get_weights())


def test_a_checkpoint_of_tfxfer_0_1_is_read(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    model, other = make_tiny(), make_tiny(seed=1)
    np.savez(run.checkpoints / "1-head.npz", *model.get_weights())
    document = {"weights": "1-head.npz", "state": STATE.to_dict()}
    (run.checkpoints / "state.json").write_text(json.dumps(document))
    found = Checkpoints(run).restore(other)
    assert found is not None
    assert found.state == STATE
    assert are_equal(model.get_weights(), other.get_weights())


def test_what_is_done_needs_none(run: RunDirectory, make_tiny: Callable[..., Any]) -> None:
    checkpoints = Checkpoints(run)
    checkpoints.keep_phase(make_tiny(), STATE)
    checkpoints.remove()
    assert list_files(run) == []


def test_at_most_a_minute_or_an_epoch_is_at_stake() -> None:
    # Writing takes as long as an epoch: some are left out, never two minutes' worth.
    for epoch_s in (1.0, 10.0, 45.0, 600.0):
        since_s = at_stake_s = 0.0
        for _ in range(200):
            since_s += epoch_s
            at_stake_s = max(at_stake_s, since_s)
            if is_due(since_s=since_s, epoch_s=epoch_s, write_s=epoch_s):
                since_s = 0.0
        assert at_stake_s <= max(60.0, epoch_s)
    assert not is_due(since_s=1.0, epoch_s=1.0, write_s=1.0)


def test_an_epoch_that_was_not_worth_writing_is_held(
    run: RunDirectory, make_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfxfer.job.checkpoint.is_due", lambda **_: False)
    checkpoints, model = Checkpoints(run), make_tiny()
    for epochs in (1, 2):
        checkpoints.keep_epoch(make_snapshot(model, epochs))
    assert list_files(run) == []
    checkpoints.save_pending()
    assert list_files(run) == ["1-head-epoch-2.npz", "state.json"]
    checkpoints.keep_epoch(make_snapshot(model, 3))
    checkpoints.keep_phase(model, STATE)
    checkpoints.save_pending()  # what the phase has overtaken is not written any more
    assert list_files(run) == ["1-head.npz", "state.json"]


class Trap:
    def __reduce__(self) -> Any:
        return pytest.fail, ("a checkpoint was run",)


def store_pickle(run: RunDirectory) -> None:
    with zipfile.ZipFile(run.checkpoints / "1-head.npz", "w") as archive:
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
        header += b" " * (117 - len(header)) + b"\n"
        magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("arr_0.npy", magic + header + pickle.dumps(Trap()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run.checkpoints / "state.json").write_text("{"),
        lambda run: (run.checkpoints / "state.json").write_text('{"state": {}}'),
        lambda run: (run.checkpoints / "1-head.npz").unlink(),
        lambda run: (run.checkpoints / "1-head.npz").write_bytes(b"PK no zip"),
        lambda run: (run.checkpoints / "1-head.npz").write_bytes(b""),
        lambda run: (run.checkpoints / "state.json").write_text(
            json.dumps({"weights": "1-head.npz", "state": {"surprise": 1}})
        ),
        lambda run: np.savez(run.checkpoints / "1-head.npz", surprise_0=np.zeros(1)),
        store_pickle,
    ],
)
def test_a_damaged_checkpoint_is_named(
    run: RunDirectory, make_tiny: Callable[..., Any], damage: Callable[[RunDirectory], Any]
) -> None:
    Checkpoints(run).keep_phase(make_tiny(), STATE)
    damage(run)
    with pytest.raises(RunError, match=r"run '.*run': .*checkpoint.* Train anew with --overwrite"):
        Checkpoints(run).restore(make_tiny())


def test_weights_of_another_network_are_refused(
    run: RunDirectory, make_tiny: Callable[..., Any]
) -> None:
    Checkpoints(run).keep_phase(make_tiny(labels=4), STATE)
    with pytest.raises(RunError, match="Train anew with --overwrite"):
        Checkpoints(run).restore(make_tiny())
