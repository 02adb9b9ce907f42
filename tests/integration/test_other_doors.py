"""A modality that is no image and a head of a fourth task: from wheels, by command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.registry.lookup import default_registry
from tfxfer.testing import check_head

DOUBLES = Path(__file__).parents[1] / "plugins"
RHYTHMS = {"run": (9.0, 2.0), "stand": (0.0, 0.0), "walk": (3.0, -2.0)}
"""Class → cycles a window, and how far the sensor leans: random features see that."""

GRADES = 4
QUICK = ("--head-epochs", 40, "--epochs", 2, "--batch-size", 8, "--augment", "light")

Run = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, _surroundings: None) -> Iterator[None]:
    """Builds both wheels and unpacks them where this process and those it starts find them."""
    pytest.importorskip("hatchling", reason="builds the wheels: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    sources = [str(DOUBLES / name) for name in ("sensor", "ordinal_head")]
    subprocess.run([*command, "-w", str(folder), *sources], check=True)
    site = folder / "site"
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(site)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        default_registry.cache_clear()
        yield
    default_registry.cache_clear()
    for name in ("double_sensor", "double_ordinal_head"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rhythms, 40 windows each, of which one file is broken and one a copy of another."""
    root, rng = tmp_path_factory.mktemp("windows"), np.random.default_rng(0)
    for label, (cycles, lean) in RHYTHMS.items():
        (root / label).mkdir()
        for number in range(40):
            phase = rng.uniform(0, 2 * np.pi)
            wave = np.sin(np.linspace(0, 2 * np.pi * cycles, 80) + phase)
            noise = rng.normal(0, 0.1, (80, 3))
            values = wave[:, None] * np.array([1.0, 0.6, 0.3]) + [lean, 0, 1] + noise
            np.save(root / label / f"{number:02d}.npy", values.astype(np.float32))
    (root / "walk" / "broken.npy").write_bytes(b"\x93NUMPY")
    shutil.copy(root / "walk" / "03.npy", root / "walk" / "copy.npy")
    return root


@pytest.fixture(scope="module")
def sensor_run(
    windows: Path, tfxfer: Run, tmp_path_factory: pytest.TempPathFactory, installed: None
) -> tuple[Path, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("sensor") / "run"
    done = tfxfer(
        "train", windows, "--backbone", "double_sensor_conv", "--weights", "none",
        "--unfreeze-from", "block_1", "--out", out, *QUICK, "--json",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    return out, done.document, done.stderr


def test_both_are_listed_with_their_distributions(tfxfer: Run) -> None:
    found = {(x["kind"], x["name"]): x for x in tfxfer("plugins", "--check", "--json").document}
    for key, origin in {
        ("modality", "double_sensor"): "tfxfer-double-sensor",
        ("backbone", "double_sensor_conv"): "tfxfer-double-sensor",
        ("head", "double_ordinal"): "tfxfer-double-ordinal-head",
        ("modality", "image"): "tfxfer",
    }.items():
        assert (found[key]["distribution"], found[key]["status"]) == (origin, "ok")


def test_windows_train_in_two_phases_from_cached_activations(
    sensor_run: tuple[Path, dict[str, Any], str],
) -> None:
    out, document, told = sensor_run
    assert (document["modality"], document["size"]) == ("double_sensor", 64)
    assert [phase["name"] for phase in document["phases"]] == ["head", "fine_tune"]
    assert [phase["cached"] for phase in document["phases"]] == [True, True]
    assert document["phases"][1]["stage"] == "block_1"
    assert document["preprocessing"] == {"zero": [0.0, 0.0, 1.0], "range": [0.1, 0.1, 0.1]}
    assert document["versions"]["tfxfer-double-sensor"] == "1.0"
    assert [item["path"] for item in document["data"]["skipped"]] == ["walk/broken.npy"]
    # 121 usable windows; the copy stays with its original.
    assert document["data"]["images"] == 121
    rows = (out / "split.csv").read_text().splitlines()
    parts = {line.split(",")[0]: line.split(",")[2] for line in rows[1:]}
    assert parts["walk/copy.npy"] == parts["walk/03.npy"]
    # Rhythms are easy: at chance this would be a third.
    assert document["metrics"]["test"]["accuracy"]["value"] > 0.6
    assert "windows" in told
    assert "image" not in told


def test_a_finished_model_evaluates_and_predicts_windows(
    sensor_run: tuple[Path, dict[str, Any], str], windows: Path, tfxfer: Run
) -> None:
    out, document, _ = sensor_run
    again = tfxfer("evaluate", out, windows, "--json").document
    assert again["accuracy"] == document["metrics"]["test"]["accuracy"]
    answers = tfxfer("predict", out, windows / "run" / "00.npy", "--json").document
    assert list(answers[0]) == ["window", "label", "score", "scores"]
    assert set(answers[0]["scores"]) == set(RHYTHMS)
    broken = tfxfer("predict", out, windows / "walk" / "broken.npy")
    assert broken.code == 1
    assert "broken.npy" in broken.error


def test_an_interrupted_training_on_windows_goes_on(
    windows: Path, tfxfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (
        "--backbone", "double_sensor_conv", "--weights", "none", "--unfreeze-from", "block_1",
        *QUICK,
    )  # fmt: skip
    whole = tfxfer("train", windows, "--out", tmp_path / "whole", *options, "--json").document
    from tfxfer.job.checkpoint import Checkpoints

    keep = Checkpoints.keep_phase

    def interrupt(*args: Any) -> None:
        keep(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep_phase", interrupt)
        assert tfxfer("train", windows, "--out", tmp_path / "run", *options).code == 130
    done = tfxfer("train", "--resume", "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.stderr
    assert done.document["metrics"] == whole["metrics"]
    assert len(done.document["phases"]) == 2


def test_the_export_of_windows_says_in_one_line_what_it_cannot_do(
    sensor_run: tuple[Path, dict[str, Any], str], tfxfer: Run, tmp_path: Path
) -> None:
    out, *_ = sensor_run
    done = tfxfer("export", out, "--out", tmp_path / "edge")
    assert done.code == 1
    assert "double_sensor" in done.error
    assert not (tmp_path / "edge").exists()


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose grade is how bright they are."""
    from PIL import Image

    root, rng = tmp_path_factory.mktemp("grades"), np.random.default_rng(1)
    for grade in range(GRADES):
        (root / str(grade)).mkdir()
        for number in range(12):
            # The double's weights see differences of channels.
            coarse = rng.integers(0, 30, (6, 6, 3)) + np.array([60 * grade, 90, 30])
            image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
            image.resize((48, 48), Image.Resampling.BICUBIC).save(
                root / str(grade) / f"{number}.png"
            )
    return root


def test_ordinal_grades_train_evaluate_and_predict(
    graded: Path, train: Run, tfxfer: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = train(graded, "--head", "double_ordinal", "--out", out, *QUICK, "--json")
    assert done.code == 0, done.stderr
    figures = done.document["metrics"]["test"]
    assert figures["headline"] == "quadratic_kappa"
    kappa = figures["quadratic_kappa"]
    assert kappa["low"] <= kappa["value"] <= kappa["high"]
    assert kappa["value"] > 0.3  # chance is 0
    assert done.document["versions"]["tfxfer-double-ordinal-head"] == "1.0"
    again = tfxfer("evaluate", out, graded, "--json").document
    assert again["quadratic_kappa"] == kappa
    answer = tfxfer("predict", out, graded / "3" / "0.png", "--json").document[0]
    assert answer["label"] in {str(grade) for grade in range(GRADES)}
    refused = tfxfer("export", out, "--out", tmp_path / "edge")
    assert refused.code == 1
    assert "double_ordinal" in refused.error
    assert not (tmp_path / "edge").exists()


def test_the_ordinal_head_passes_its_kit() -> None:
    report = check_head("double_ordinal", registry=default_registry())
    assert report.ok, report
