"""GPUs as the driver tells them, room on disks, sizes of caches."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tfxfer.doctor import hardware
from tfxfer.doctor.hardware import find_caches, find_gpus, find_volumes

Program = Callable[[str], None]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Returns a function that makes `nvidia-smi` a shell script."""

    def make(script: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return make


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    folder = tmp_path / "gpus"
    for number, text in enumerate(("Model: \t NVIDIA T4\nIRQ: 5\n", "IRQ: 6\n")):
        (folder / f"0000:0{number}").mkdir(parents=True)
        (folder / f"0000:0{number}" / "information").write_text(text, encoding="utf-8")
    return folder


def test_gpus_that_nvidia_smi_shows(nvidia_smi: Program, driver: Path) -> None:
    nvidia_smi("echo NVIDIA L4; echo NVIDIA L4")
    assert find_gpus(driver=driver) == ("NVIDIA L4", "NVIDIA L4")


def test_nvidia_smi_that_finds_none_is_believed(nvidia_smi: Program, driver: Path) -> None:
    nvidia_smi("echo No devices were found")
    assert find_gpus(driver=driver) == ()


@pytest.mark.parametrize("script", ["exit 9", "exec /bin/sleep 30"])
def test_gpus_of_the_driver_where_nvidia_smi_fails_or_hangs(
    nvidia_smi: Program, driver: Path, script: str
) -> None:
    nvidia_smi(script)
    assert find_gpus(driver=driver, timeout_s=0.5) == ("NVIDIA T4", "NVIDIA GPU")


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus(driver=tmp_path / "none") == ()


def test_volumes_tell_each_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (volume,) = find_volumes({"KERAS_HOME": str(tmp_path / "not" / "yet")})
    assert volume.use == "the current folder, temporary files, Keras's downloads"
    assert volume.path == str(tmp_path)
    # Others write to this disk, too.
    assert volume.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, abs=1_000_000_000)


def test_a_current_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the current folder" not in {x.use for x in find_volumes({"KERAS_HOME": str(tmp_path)})}


def test_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    places = {
        "Keras": tmp_path / "keras",
        "TensorFlow Hub": tmp_path / "hub",
        "Kaggle Hub": tmp_path / "kaggle",
        "tfxfer": tmp_path / "xdg" / "tfxfer",
        "activations": temporary / "tfxfer-cache-abc",
    }
    for number, folder in enumerate(places.values(), 1):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_bytes(bytes(1000 * number))
        (folder / "file").write_bytes(bytes(7))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    variables = {
        "KERAS_HOME": str(places["Keras"]),
        "TFHUB_CACHE_DIR": str(places["TensorFlow Hub"]),
        "KAGGLEHUB_CACHE": str(places["Kaggle Hub"]),
    }
    caches = find_caches(variables)
    assert [(each.name, Path(each.path), each.size_bytes) for each in caches] == [
        (name, folder, 1000 * number + 7) for number, (name, folder) in enumerate(places.items(), 1)
    ]
    assert all(each.is_complete for each in caches)
    monkeypatch.setattr(hardware, "_WALK_FILES", 0)
    assert not any(each.is_complete for each in find_caches(variables))
    shutil.rmtree(places["Kaggle Hub"])
    assert "Kaggle Hub" not in {each.name for each in find_caches(variables)}
