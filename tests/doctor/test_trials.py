"""Imports in another process: what raises, crashes, hangs or prints, told one by one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tfxfer.doctor.environment import DEVICES, Device, Package
from tfxfer.doctor.trials import choose_modules, try_imports

GPU_LIST = """
class config:
    def list_physical_devices():
        return [device("CPU"), device("GPU")]
class device:
    def __init__(self, kind):
        self.device_type, self.name = kind, f"/physical_device:{kind}:0"
"""
HANG = "import time; time.sleep(60)"
CRASH = "import os; os.write(2, b'native noise \\xff'); os.abort()"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of sys.path: a file in it hides what is really installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, **sources: str) -> None:
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")


def test_each_is_told_on_its_own(modules: Path) -> None:
    write(
        modules,
        tensorflow=f"print('a banner')\n{GPU_LIST}",
        litert_quantizer="import no_such_module.part",
        keras="",
        tf_keras="raise ValueError('first line\\nsecond')",
        mediapipe=CRASH,
        tensorflow_hub="raise SystemExit(3)",
        keras_hub="",
    )
    names = (
        "tensorflow",
        "keras",
        "litert_quantizer",
        "tf_keras",
        "mediapipe",
        "tensorflow_hub",
        "keras_hub",
    )
    trials, devices = try_imports(names, backend="tensorflow", timeout_s=30)
    found = {trial.module: trial for trial in trials}
    assert list(found) == ["tensorflow", DEVICES, *names[1:]]
    assert devices == (
        Device("cpu", "/physical_device:CPU:0"),
        Device("gpu", "/physical_device:GPU:0"),
    )
    assert [name for name in found if found[name].error is None] == [
        "tensorflow",
        DEVICES,
        "keras",
        "keras_hub",
    ]
    assert found["litert_quantizer"].missing == "no_such_module"
    assert found["tf_keras"].error == "ValueError: first line"
    assert (found["mediapipe"].signal, found["mediapipe"].hung) == (6, False)
    assert "native noise" in str(found["mediapipe"].error)
    assert found["tensorflow_hub"].error == "SystemExit: 3"


def test_a_hang_ends_it_with_a_clear_result(modules: Path) -> None:
    write(modules, tensorflow=GPU_LIST, keras=HANG, mediapipe="")
    names = ("tensorflow", "keras", "mediapipe")
    trials, devices = try_imports(names, backend="tensorflow", timeout_s=4)
    assert [trial.module for trial in trials] == ["tensorflow", DEVICES, "keras"]
    assert trials[-1].error == "it did not end within 4 s"
    assert trials[-1].hung
    assert devices is not None


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_what_hangs_takes_along_what_it_started(modules: Path) -> None:
    pid = modules / "pid"
    write(
        modules,
        keras="import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n{HANG}",
    )
    try_imports(("keras",), backend="tensorflow", timeout_s=4)
    number = int(pid.read_text())
    for _ in range(200):
        if not psutil.pid_exists(number):
            return
        if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return  # a container without an init fetches no exit codes
        time.sleep(0.05)
    pytest.fail("it is still there")


def test_a_driver_that_hangs_is_no_import_that_hangs(modules: Path) -> None:
    write(
        modules,
        tensorflow=f"class config:\n    def list_physical_devices():\n        {HANG}\n",
    )
    trials, devices = try_imports(("tensorflow",), backend="tensorflow", timeout_s=4)
    assert [(trial.module, trial.hung) for trial in trials] == [
        ("tensorflow", False),
        (DEVICES, True),
    ]
    assert devices is None


@pytest.mark.parametrize("fault", ["import no_such_module", CRASH])
def test_a_fault_is_told_once(modules: Path, fault: str) -> None:
    write(modules, tensorflow=fault, keras="import tensorflow", litert_quantizer="")
    names = ("tensorflow", "keras", "litert_quantizer")
    trials, devices = try_imports(names, backend="tensorflow", timeout_s=30)
    assert [(trial.module, trial.error is None) for trial in trials] == [
        ("tensorflow", False),
        ("litert_quantizer", True),
    ]
    assert devices is None


def test_what_needs_keras_is_not_blamed_for_it(modules: Path) -> None:
    write(modules, tensorflow=GPU_LIST, keras="import torch_of_another", tensorflow_hub="1 / 0")
    names = ("tensorflow", "keras", "tensorflow_hub")
    trials, _ = try_imports(names, backend="tensorflow", timeout_s=30)
    assert [trial.module for trial in trials if trial.error] == ["keras"]


def test_devices_of_jax(modules: Path) -> None:
    source = "class Cuda:\n    platform = 'gpu'\ndef devices():\n    return [Cuda()]\n"
    write(modules, jax=source, tensorflow="")
    trials, devices = try_imports(("tensorflow", "jax"), backend="jax", timeout_s=30)
    assert [trial.module for trial in trials] == ["tensorflow", "jax", DEVICES]
    assert devices is not None
    assert devices[0].kind == "gpu"


def test_nothing_to_try() -> None:
    assert try_imports((), backend="tensorflow", timeout_s=1) == ((), None)


def test_only_what_is_installed_is_tried() -> None:
    packages = {
        name: Package(name, "1") for name in ("tf-keras", "keras", "tensorflow-cpu", "rich")
    }
    chosen = choose_modules(packages, has_tensorflow=True)
    assert chosen == ("tensorflow", "keras", "tf_keras")
    assert choose_modules({}, has_tensorflow=False) == ()
