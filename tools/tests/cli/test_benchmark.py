from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfxfer.cli.main import run as run_cli


def test_benchmark_takes_turns(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [str(exported / f"model_{name}.tflite") for name in ("float32", "int8")]
    assert run_cli(["benchmark", *paths, "--runs", "5", "--rounds", "1", "--json"]) == 0
    models = json.loads(capfd.readouterr().out)["models"]
    assert [item["path"] for item in models] == paths
    for item in models:
        assert 0 < item["latency_ms"]["median"] <= item["latency_ms"]["p95"]
        # Not this process's, which holds TensorFlow.
        assert item["bytes"] < item["peak_memory_bytes"] < 300e6


def test_benchmark_of_what_is_no_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3" * 10)
    assert run_cli(["benchmark", str(broken)]) == 1
    assert run_cli(["benchmark", str(tmp_path / "none.tflite")]) == 1
    assert capfd.readouterr().err.count("error:") == 2


def test_what_may_end_the_process_is_not_opened_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def find_photos(path: Path) -> None:
        raise AssertionError(f"opened {path}")

    monkeypatch.setattr("tfxfer_edge.proof.photos.find_photos", find_photos)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3" * 10)
    assert run_cli(["benchmark", str(broken)]) == 1
    assert "expected a .tflite file that runs" in capfd.readouterr().err
