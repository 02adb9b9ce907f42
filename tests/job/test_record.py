"""`run.json` while a run is trained: bounded, and true of the files beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfxfer.data.problems import Audit, Problem
from tfxfer.data.samples import SampleData
from tfxfer.job import record, result
from tfxfer.job.record import RunRecord, describe_start
from tfxfer.job.request import TrainRequest
from tfxfer.preprocessing import Preprocessing
from tfxfer.run.directory import Manifest, RunDirectory


def describe(skipped: int, notes: tuple[str, ...] = ()) -> Manifest:
    """Returns the manifest of a run of whose data so many samples were left out."""
    problems = tuple(Problem(f"{n}.png", "corrupt", "damaged", True) for n in range(skipped))
    prepared: Any = SimpleNamespace(
        request=TrainRequest("photos", "b"),
        head=SimpleNamespace(name="h", options=dict),
        modality=SimpleNamespace(name="image"),
        weights=SimpleNamespace(source="none", sha256=None, licence=None),
        size=32,
        plugins={},
    )
    data: Any = SimpleNamespace(
        labels=("a", "b"), train=Part(8), val=Part(2), test=Part(2), fingerprint="0" * 64,
        audit=Audit(problems, images=12, files=12 + skipped, notes=notes), doubts=(),
    )  # fmt: skip
    device: Any = SimpleNamespace(kind="cpu", precision="float32")
    plan: Any = SimpleNamespace(phases=(), views=1)
    return describe_start(prepared, data, device, plan)


class Part(list[int]):
    """As many samples as a number says."""

    contract = Preprocessing()

    def __init__(self, count: int) -> None:
        super().__init__(range(count))


def test_run_json_names_so_many_samples_left_out_and_says_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert record._MOST_SKIPPED == 10_000
    monkeypatch.setattr(record, "_MOST_SKIPPED", 3)
    data = describe(3, notes=("2 classes",)).data
    assert data is not None
    assert [x["path"] for x in data.skipped] == ["0.png", "1.png", "2.png"]
    assert data.notes == ("2 classes",)
    data = describe(5).data
    assert data is not None
    assert [x["path"] for x in data.skipped] == ["0.png", "1.png", "2.png"]
    (note,) = data.notes
    assert "names 3 of 5 samples that were left out; skipped.csv names all" in note


def test_a_model_is_sealed_before_anything_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the process while test samples are scored, the model is known by then."""
    run = RunDirectory.create(tmp_path / "run")
    kept = RunRecord(run, Manifest(backbone="b", head="h"))
    val, test = SimpleNamespace(name="val"), SimpleNamespace(name="test")
    data: Any = SimpleNamespace(val=val, test=test)

    def score(predictor: Any, split: Any, *, progress: Any) -> np.ndarray:
        if split is test:
            raise KeyboardInterrupt
        return np.zeros((2, 2))

    def save(run: RunDirectory, data: SampleData, model: Any) -> None:
        run.model_path.write_bytes(b"a model")

    monkeypatch.setattr(result, "wrap_model", lambda model: None)
    monkeypatch.setattr(result, "score_split", score)
    monkeypatch.setattr(result, "_save", save)
    with pytest.raises(KeyboardInterrupt):
        result.write_result(run, kept, data, None, None, seed=0, calibrate=False)
    sealed = run.read_manifest().sha256
    assert sealed["model.keras"] == hashlib.sha256(b"a model").hexdigest()
