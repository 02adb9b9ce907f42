from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfxfer.cli.main import run as run_command


@pytest.fixture(autouse=True)
def _logs_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run(*args: str) -> tuple[int, Any]:
    stdout = io.StringIO()
    code = run_command([*args, "--json"], stdout=stdout)
    return code, json.loads(stdout.getvalue())


def test_trains_on_a_preset_and_reads_the_run_without_it(
    photos: Path, resnet_preset: Path, tmp_path: Path
) -> None:
    from tfxfer import load_model

    preset, out = tmp_path / "preset", tmp_path / "run"
    shutil.copytree(resnet_preset, preset)
    code, document = run(
        "train", str(photos), "--backbone", f"kerashub:{preset}", "--out", str(out),
        "--head-epochs", "1", "--epochs", "1", "--augment", "none",
        "--unfreeze-from", "stack1_block1",
    )  # fmt: skip
    assert code == 0, document
    assert document["backbone"] == f"kerashub:{preset}"
    assert document["weights"]["source"] == "preset"
    assert [phase["name"] for phase in document["phases"]] == ["head", "fine_tune"]
    names = [stage.name for stage in load_model(out).tfxfer_info.stages]
    assert names == ["stack0_block0", "stack1_block0", "stack1_block1", "backbone"]
    preset.rename(tmp_path / "elsewhere")
    model = load_model(out)
    assert [stage.name for stage in model.tfxfer_info.stages] == ["backbone"]
    assert np.isfinite(np.asarray(model(np.zeros((1, 32, 32, 3))))).all()


def test_a_wrong_preset_is_one_line_and_code_1(photos: Path, tmp_path: Path) -> None:
    code, document = run(
        "train", str(photos), "--backbone", "kerashub:resnet50_imagenet", "--out",
        str(tmp_path / "run"),
    )  # fmt: skip
    assert code == 1
    assert document["error"]["type"] == "PresetError"
    assert "resnet_50_imagenet" in document["error"]["message"]
