"""The look at the machine: metadata of any quality, settings, plugins; nothing heavy imported."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tfxfer.doctor import collect, find_problems
from tfxfer.doctor.environment import PROCESS
from tfxfer.registry.lookup import Registry


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def sound(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: numpy\n"


def test_one_malformed_distribution_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path / "keras-3.15.1.dist-info", METADATA=sound("Keras", "3.15.1"))
    empty = write(tmp_path / "tensorflow-2.19.1.dist-info")
    garbled = write(
        tmp_path / "plugin-1.0.dist-info",
        METADATA=sound("plugin", "1.0"),
        entry_points__txt="[tfxfer.heads]\nno equals sign\n",
    )
    binary = write(tmp_path / "rich-13.0.dist-info")
    (binary / "METADATA").write_bytes(b"\xff\xfe\x00Name")
    environment = collect(path=[str(tmp_path)], variables={})
    assert set(environment.packages) == {"keras"}
    assert environment.packages["keras"].version == "3.15.1"
    assert environment.packages["keras"].requires == ("numpy",)
    assert set(environment.unreadable) == set(map(str, (empty, garbled, binary)))
    environment = replace(environment, python="3.11.9")
    remedies = {each.remedy for each in find_problems(environment)}
    assert {f'rm -r "{folder}"' for folder in (empty, garbled, binary)} <= remedies
    assert 'pip install "tensorflow>=2.19,<2.22"' in remedies


def test_the_first_of_a_name_on_the_path_counts(tmp_path: Path) -> None:
    for site, version in (("first", "81.0"), ("second", "70.0")):
        write(tmp_path / site / "x.dist-info", METADATA=sound("setuptools", version))
    folders = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert collect(path=folders, variables={}).packages["setuptools"].version == "81.0"
    assert collect(path=folders[::-1], variables={}).packages["setuptools"].version == "70.0"


def test_plugins_come_from_the_distributions_found(tmp_path: Path) -> None:
    write(
        tmp_path / "plugin-1.0.dist-info",
        METADATA=sound("plugin", "1.0"),
        entry_points__txt="[tfxfer.heads]\nours = json:loads\n[elsewhere]\nx = json:loads\n",
    )
    (component,) = collect(path=[str(tmp_path)], variables={}).components
    assert (component.name, component.distribution, component.status) == ("ours", "plugin", "ok")
    assert collect(path=[str(tmp_path)], variables={}, registry=Registry([])).components == ()


@pytest.mark.parametrize(
    ("text", "backend"),
    [('{"backend": "torch"}', "torch"), ("{", "tensorflow"), ("[]", "tensorflow")],
)
def test_settings_of_keras(tmp_path: Path, text: str, backend: str) -> None:
    (tmp_path / "keras.json").write_text(text, encoding="utf-8")
    environment = collect(path=[], variables={"KERAS_HOME": str(tmp_path), "SECRET": "no"})
    assert environment.backend == backend
    assert environment.keras_config == str(tmp_path / "keras.json")
    assert set(environment.variables) == {"KERAS_HOME"}  # what is of no use is not looked at
    asked = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    assert collect(path=[], variables=asked).backend == "jax"


def test_a_full_disk_for_temporary_files_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "keras-3.15.1.dist-info", METADATA=sound("keras", "3.15.1"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(tempfile, "gettempdir", full)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    environment = collect(path=[str(tmp_path)], variables={}, timeout_s=5)
    (trial,) = environment.trials
    assert (trial.module, environment.devices) == (PROCESS, None)
    assert "No space left" in str(trial.error)
    assert any("temporary files" in volume.use for volume in environment.volumes)


def test_nothing_heavy_is_imported_here() -> None:
    code = (
        "import json, sys; from tfxfer.doctor import collect, find_problems;"
        "find_problems(collect()); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    modules = set(json.loads(done.stdout))
    assert "tfxfer.doctor.rules" in modules
    assert not {"tensorflow", "keras", "numpy", "jax", "mediapipe", "rich"} & modules
