"""`tfxfer doctor`: one document, a table for people, and exit code 1 only for real problems."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tfxfer.doctor
from tfxfer.cli.main import run
from tfxfer.doctor import Environment
from tfxfer.doctor.environment import Cache, Device, Trial, Volume
from tfxfer.registry.lookup import Registry


def call(*args: str) -> tuple[int, str]:
    stdout = io.StringIO()
    return run(["doctor", *args], stdout=stdout, registry=Registry()), stdout.getvalue()


@pytest.fixture
def old_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata in front of sys.path, as a broken installation would leave it."""
    folder = tmp_path / "numpy-1.20.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: numpy\nVersion: 1.20.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_this_environment_is_in_order() -> None:
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)
    assert (code, document["problems"]) == (0, [])
    assert document["ok"] is True
    assert document["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert document["packages"]["keras"] is not None
    assert document["packages"]["tfxfer"] == tfxfer.__version__
    assert document["devices"] == []
    assert document["imports"] == {}
    assert {"kind", "name", "distribution", "version", "status"} <= set(document["plugins"][0])
    assert all({"use", "path", "free_bytes"} == set(each) for each in document["disk"])
    assert "error" not in document


@pytest.mark.usefixtures("old_numpy")
def test_a_problem_is_a_failure_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)  # exactly one document
    assert code == 1
    assert document["ok"] is False
    assert document["packages"]["numpy"] == "1.20.0"
    (problem,) = document["problems"]
    assert set(problem) == {"what", "remedy"}
    assert problem["what"].startswith("numpy: expected ")
    assert problem["remedy"].startswith('pip install "numpy>=')
    assert document["error"]["type"] == "SetupError"
    assert "1 problem" in capsys.readouterr().err


@pytest.mark.usefixtures("old_numpy")
def test_people_read_the_remedy_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, stdout = call("--quick")
    assert code == 1
    assert "\nproblem: numpy: expected " in stdout
    assert '\n  remedy: pip install "numpy>=' in stdout
    lines = [line.split() for line in stdout.splitlines()]
    assert lines[0] == ["WHAT", "FOUND", "FOR"]
    assert ["numpy", "1.20.0", "arrays"] in lines
    error = capsys.readouterr().err
    assert error.startswith("error: doctor: expected")
    assert "Traceback" not in stdout + error


def test_a_malformed_distribution_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    code, stdout = call("--quick", "--json")
    document = json.loads(stdout)
    assert (code, document["ok"], document["problems"]) == (0, True, [])
    assert any("broken-1.0.dist-info" in note["remedy"] for note in document["notes"])


def fake(**found: Any) -> Environment:
    """An environment of which only what the test gives is known."""
    return Environment(python="3.11.9", packages=tfxfer.doctor.collect().packages, **found)


def test_what_was_found_beside_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def collect(*, registry: Registry, timeout_s: float | None) -> Environment:
        asked.append(timeout_s)
        return environment

    environment = fake(
        gpus=("NVIDIA L4",),
        devices=(Device("cpu", "CPU:0"), Device("gpu", "GPU:0")),
        trials=(Trial("tensorflow"), Trial("mediapipe", "OSError: no")),
        volumes=(Volume("temporary files", "/tmp", 60_000_000_000),),
        caches=(Cache("Keras", "/home/me/.keras", 5_000_000, is_complete=False),),
    )
    monkeypatch.setattr(tfxfer.doctor, "collect", collect)
    code, stdout = call("--json", "--timeout", "90s")
    document = json.loads(stdout)
    assert (code, asked) == (1, [90.0])
    assert document["devices"][1] == {"kind": "gpu", "name": "GPU:0"}
    assert document["gpus"] == ["NVIDIA L4"]
    assert document["imports"] == {"tensorflow": None, "mediapipe": "OSError: no"}
    assert document["caches"][0]["is_complete"] is False
    code, stdout = call()
    rows = [" ".join(line.split()) for line in stdout.splitlines()]
    assert asked[1] == 60.0
    assert "devices CPU:0, GPU:0 tensorflow" in rows
    assert "GPUs of the driver NVIDIA L4 NVIDIA" in rows
    assert "imports 1 of 2 fine mediapipe" in rows
    assert "free disk 60.0 GB temporary files: /tmp" in rows
    assert "cache: Keras over 5 MB /home/me/.keras" in rows


def test_without_packaging_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tfxfer.doctor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    code, stdout = call("--json")
    message = json.loads(stdout)["error"]["message"]
    assert code == 1
    assert "pip install packaging" in message


@pytest.mark.parametrize(
    ("on_path", "is_said"), [("none", True), ("another", True), ("this", False)]
)
def test_which_pip_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str, is_said: bool
) -> None:
    found = {"none": None, "another": tmp_path / "pip", "this": Path(sys.executable).parent / "pip"}
    path = found[on_path]
    monkeypatch.setattr("shutil.which", lambda _: None if path is None else str(path))
    monkeypatch.setattr(tfxfer.doctor, "collect", lambda **_: Environment())
    _, stdout = call()
    assert (f"pip is: {sys.executable} -m pip" in stdout) == is_said


@pytest.mark.slow
def test_everything_that_is_installed_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfxfer", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert document["devices"][0]["kind"] == "cpu"
    assert set(document["imports"].values()) == {None}
    assert {"tensorflow", "keras", "list of devices"} <= set(document["imports"])
