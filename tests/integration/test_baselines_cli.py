"""`tfxfer train --baselines`: a case where transfer helps, and one where it hurts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfxfer import ModelError, RunDirectory
from tfxfer.trust.baselines import BaselineRecord

Run = Callable[..., Any]
Paint = Callable[[np.random.Generator, int], Image.Image]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> Path:
    """Enough photos for a test that can tell."""
    root, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    for channel, label in enumerate(("apple", "mango", "zebra")):
        (root / label).mkdir()
        for number in range(80):
            paint(rng, channel).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def colour_blind(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """Weights that were learnt where colours did not matter: all classes are one to them."""
    kernels = dict(np.load(weights))
    kernels["block_1_conv"] = np.broadcast_to(
        kernels["block_1_conv"].std(axis=2, keepdims=True), kernels["block_1_conv"].shape
    )
    path = tmp_path_factory.mktemp("blind") / "blind.npz"
    np.savez(path, **kernels)
    return path


def compare(tfxfer: Run, data: Path, weights: Path, out: Path) -> tuple[BaselineRecord, str]:
    options = ("--head-epochs", 8, "--epochs", 8, "--views", 2, "--batch-size", 8)
    done = tfxfer(
        "train", data, "--backbone", "double_vivid", "--weights", weights, "--out", out, *options,
        "--baselines", "probe,scratch", "--no-report",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    record = BaselineRecord.read(out / "trust")
    assert record is not None
    return record, done.stdout


def test_transfer_that_hurts_is_named(
    tfxfer: Run, many: Path, colour_blind: Path, tmp_path: Path
) -> None:
    record, shown = compare(tfxfer, many, colour_blind, tmp_path / "run")
    probe, scratch = record.results
    assert (probe.name, scratch.name) == ("probe", "scratch")
    # Frozen up to a stage that lost the colours, nothing above it can bring them back.
    assert probe.verdict == "no_difference"
    assert scratch.verdict == "hurts", record
    assert scratch.metrics["accuracy"]["value"] > 0.8
    assert scratch.words.startswith("transfer hurts: ")
    assert scratch.words in shown


def test_transfer_that_does_not_hurt_is_not_blamed(
    tfxfer: Run, many: Path, weights: Path, tmp_path: Path
) -> None:
    record, _ = compare(tfxfer, many, weights, tmp_path / "run")
    assert [result.verdict for result in record.results][1] != "hurts"


@pytest.mark.parametrize("held", [(), ("--keep", "statistics")])
def test_a_head_alone_is_its_own_probe_unless_it_is_held(
    tfxfer: Run, photos: Path, weights: Path, tmp_path: Path, held: tuple[str, ...]
) -> None:
    done = tfxfer(
        "train", photos, "--backbone", "double_vivid", "--weights", weights, "--out",
        tmp_path / "run", "--schedule", "head", "--head-epochs", 1, "--baselines", "probe",
        "--no-report", *held,
    )  # fmt: skip
    told = "the run trained its head alone: it is the probe itself" in done.stdout
    assert told == (not held)
    assert done.code == 0


def test_an_interruption_in_the_baselines_is_gone_on_with(
    tfxfer: Run, photos: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("tfxfer.job.train.train_baselines", stop)
        done = tfxfer(
            "train", photos, "--backbone", "double_vivid", "--weights", weights, "--out", run,
            "--schedule", "head", "--head-epochs", 1, "--baselines", "probe", "--no-report",
        )  # fmt: skip
    assert done.code == 130
    assert RunDirectory.open(run).read_manifest().status == "interrupted"
    done = tfxfer("train", "--resume", "--out", run, "--no-report")
    assert done.code == 0, done.stderr
    assert BaselineRecord.read(run / "trust") is not None
    assert RunDirectory.open(run).read_manifest().status == "done"


def test_a_baseline_that_cannot_be_trained_costs_its_own_line(
    tfxfer: Run, photos: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(*_: Any, **options: Any) -> None:
        asked.append(options)
        raise ModelError("the loss became NaN")

    monkeypatch.setattr("tfxfer.job.baselines._fit", fail)
    done = tfxfer(
        "train", photos, "--backbone", "double_vivid", "--weights", weights, "--out",
        tmp_path / "run", "--head-epochs", 1, "--epochs", 1, "--views", 2, "--no-report",
        "--baselines", "scratch",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "scratch: could not be trained: the loss became NaN" in done.stdout
    # Compared like with like: as many views of each sample as the run had.
    assert [options["views"] for options in asked] == [2]


def test_a_name_that_is_none_is_told_before_anything(tfxfer: Run, photos: Path) -> None:
    done = tfxfer("train", photos, "--baselines", "prob")
    assert done.code == 2
    assert "Received: 'prob'. Did you mean 'probe'?" in done.error
