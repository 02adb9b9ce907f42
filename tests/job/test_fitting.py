"""Phases that see smaller samples than the model, which is used at its own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfxfer import Phase
from tfxfer.job import train as job
from tfxfer.job.choice import Choice, Clock
from tfxfer.job.prepare import Prepared, prepare
from tfxfer.job.request import TrainRequest
from tfxfer.job.train import train_run
from tfxfer.run.directory import RunDirectory
from tfxfer.schedule import resolve_schedule

SMALL, FULL = 32, 48
PHASES = (
    Phase("head", "backbone", 2, 1e-3, size=SMALL),
    Phase("fine_tune", 0.5, 2, 1e-3, size=SMALL, average=True),
    Phase("full_size", 0.5, 1, 1e-3, views=1),
)


class Sizes(keras.callbacks.Callback):
    """Notes the side of the images of every epoch; may end the process or the training at one."""

    def __init__(self, stop_at: int | None = None, *, end_at: int | None = None) -> None:
        super().__init__()
        self.sides: list[int] = []
        self.stop_at, self.end_at = stop_at, end_at

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.stop_at:
            raise KeyboardInterrupt
        self.sides.append(self.model.input_shape[1])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.end_at:
            self.model.stop_training = True


@pytest.fixture
def prepared(
    install_doubles: Callable[..., None],
    folders: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Prepared]:
    from tfxfer.registry.lookup import default_registry

    install_doubles("good_backbone")
    default_registry.cache_clear()
    request = TrainRequest(
        str(folders(a=12, b=12)), "double_tiny", weights="none", size=FULL, device="cpu"
    )
    found = prepare(request)
    names = [*(stage.name for stage in found.backbone.stages), "backbone"]
    schedule = resolve_schedule(PHASES, names)

    monkeypatch.setattr(job, "choose_training", lambda *_, **options: Choice(schedule, 2))
    yield found
    default_registry.cache_clear()


def train(prepared: Prepared, out: Path, sizes: Sizes, **options: Any) -> dict[str, Any]:
    return train_run(prepared, out, callbacks=[sizes], **options).read_manifest().to_dict()


def weights(out: Path) -> list[np.ndarray]:
    found: list[np.ndarray] = keras.models.load_model(out / "model.keras").get_weights()
    return found


def test_each_phase_sees_its_size_and_the_model_has_its_own(
    prepared: Prepared, tmp_path: Path
) -> None:
    sizes = Sizes()
    document = train(prepared, tmp_path / "run", sizes)
    assert sizes.sides == [SMALL] * 4 + [FULL]
    assert document["size"] == FULL
    assert [item["phase"]["size"] for item in document["plan"]] == [SMALL, SMALL, None]
    assert [item["name"] for item in document["phases"]] == [phase.name for phase in PHASES]
    # A score on small images says nothing about the full size: the best is of the last phase.
    assert [item["best_epoch"] for item in document["phases"]] == [None, None, 4]
    assert keras.models.load_model(tmp_path / "run/model.keras").input_shape[1] == FULL
    # Random weights know nothing to hold labels against.
    assert not (tmp_path / "run/trust/label_errors.csv").exists()


def test_without_a_last_phase_the_small_weights_are_kept(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = job.choose_training(prepared, None, None, None, None)  # type: ignore[arg-type]
    monkeypatch.setattr(
        job, "choose_training", lambda *_, **options: replace(chosen, schedule=chosen.schedule[:2])
    )
    sizes = Sizes()
    document = train(prepared, tmp_path / "run", sizes)
    assert sizes.sides == [SMALL] * 4
    assert any(item["best_epoch"] is not None for item in document["phases"])
    assert keras.models.load_model(tmp_path / "run/model.keras").input_shape[1] == FULL
    # The last phase changes them.
    monkeypatch.setattr(job, "choose_training", lambda *_, **options: chosen)
    train(prepared, tmp_path / "other", Sizes())
    same = [
        np.array_equal(a, b)
        for a, b in zip(weights(tmp_path / "run"), weights(tmp_path / "other"), strict=True)
    ]
    assert not all(same)


@pytest.mark.parametrize("stop_at", [2, 4])
def test_an_interrupted_run_goes_on_alike(prepared: Prepared, tmp_path: Path, stop_at: int) -> None:
    train(prepared, tmp_path / "whole", Sizes())
    with pytest.raises(KeyboardInterrupt):
        train(prepared, tmp_path / "run", Sizes(stop_at))
    sizes = Sizes()
    document = train(prepared, tmp_path / "run", sizes, resume=True)
    assert sizes.sides == ([SMALL] * 4 + [FULL])[stop_at:]
    assert [item["best_epoch"] for item in document["phases"]] == [None, None, 4]
    for ours, theirs in zip(weights(tmp_path / "run"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_ends_the_training_ends_it_at_all_sizes(prepared: Prepared, tmp_path: Path) -> None:
    sizes = Sizes(end_at=0)
    document = train(prepared, tmp_path / "run", sizes)
    assert sizes.sides == [SMALL]
    assert [item["name"] for item in document["phases"]] == ["head"]
    assert document["status"] == "done"


def test_a_head_that_is_computed_fits_what_there_is_however_the_training_ended(
    prepared: Prepared, tmp_path: Path
) -> None:
    """Fine-tuning changes its layer, and is ended before the phases of the model's own size."""
    computed = prepare(replace(prepared.request, head="prototype"))
    sizes = Sizes(end_at=1)  # of the head there is one
    document = train(computed, tmp_path / "run", sizes)
    assert [item["name"] for item in document["phases"]] == ["head", "fine_tune", "refit"]
    assert sizes.sides == [SMALL, SMALL, FULL]
    model = keras.models.load_model(tmp_path / "run" / "model.keras")
    _, bias = model.get_layer("head_dense").get_weights()
    assert not bias.any()  # the cosine of class means has none


def test_a_phase_that_the_clock_left_out_is_not_made_up_for_at_another_size(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "find_deadline", lambda *_: 0.0)  # long over
    sizes = Sizes()
    document = train(prepared, tmp_path / "run", sizes)
    assert [item["name"] for item in document["phases"]] == ["head", "full_size"]
    assert sizes.sides == [SMALL, FULL]
    # Of the full size, whatever the small images scored.
    assert [item["best_epoch"] for item in document["phases"]] == [None, 1]


def test_findings_of_a_phase_that_starts_over_are_forgotten(
    prepared: Prepared, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(prepared, tmp_path / "run", Sizes(stop_at=2))
    run = RunDirectory.open(tmp_path / "run")
    found = tuple({"phase": phase.name, "epoch": 9 * n} for n, phase in enumerate(PHASES[:2]))
    run.write_manifest(replace(run.read_manifest(), findings=found))
    document = train(prepared, tmp_path / "run", Sizes(), resume=True)
    assert document["findings"] == [{"phase": "head", "epoch": 0}]
