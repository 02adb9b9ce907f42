"""Every known bad setting, GPU, disk, plugin and import gets its remedy, its neighbour none."""

from __future__ import annotations

import signal
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest

from tfxfer.doctor.environment import DEVICES, PROCESS, Device, Trial, Volume

Case = namedtuple("Case", "name broken remedy sound severity what", defaults=({}, "problem", ""))
CUDA = {"nvidia-cudnn-cu12": "9.3.0.75"}
GPU: dict[str, Any] = {"gpus": ("NVIDIA L4",), "devices": (Device("cpu", "CPU:0"),)}
SEEN = GPU | {"devices": (Device("cpu", "CPU:0"), Device("gpu", "GPU:0"))}
PLUGIN = {"other": ("1.0", ("tfxfer>=0.1,<0.2",))}


def claims(kind: str, name: str, value: str = "json:loads") -> str:
    return f"[tfxfer.{kind}]\n{name} = {value}\n"


def packages(**changes: Any) -> dict[str, Any]:
    return {"packages": {name.replace("__", "-"): found for name, found in changes.items()}}


CASES = [
    Case(
        "legacy keras",
        {"variables": {"TF_USE_LEGACY_KERAS": "1"}},
        "unset TF_USE_LEGACY_KERAS",
        {"variables": {"TF_USE_LEGACY_KERAS": "0"}},
    ),
    Case(
        "legacy keras on Windows",
        {"variables": {"TF_USE_LEGACY_KERAS": "True"}, "platform": "win32"}
        | packages(**{"tensorflow-intel": "2.19.1"}),
        "set TF_USE_LEGACY_KERAS=",
    ),
    Case(
        "torch as backend",
        {
            "variables": {"KERAS_BACKEND": "torch"},
            "trials": (Trial("tensorflow", "…", missing="torch"), Trial("keras", "…")),
        },
        "export KERAS_BACKEND=tensorflow",
        {"variables": {"KERAS_BACKEND": "tensorflow"}},
        what="KERAS_BACKEND: expected the backend tensorflow or jax. Received: torch.",
    ),
    Case(
        "torch as backend in keras.json",
        {"keras_settings": {"backend": "torch"}},
        "export KERAS_BACKEND=tensorflow",
        {"keras_settings": {"backend": "torch"}, "variables": {"KERAS_BACKEND": "jax"}},
        what="keras.json: expected",
    ),
    Case(
        "jax as backend without jax",
        packages(jax=None, jaxlib=None)
        | {
            "variables": {"KERAS_BACKEND": "jax"},
            "trials": (Trial("keras", "…", missing="jax.numpy"),),
        },
        "pip install jax",
        {"variables": {"KERAS_BACKEND": "jax"}},
    ),
    Case(
        "channels first",
        {"keras_settings": {"image_data_format": "channels_first"}},
        'rm "/home/me/.keras/keras.json"',
        {"keras_settings": {"image_data_format": "channels_last"}},
    ),
    Case(
        "half precision for everything",
        {"keras_settings": {"floatx": "float16"}},
        'rm "/home/me/.keras/keras.json"',
        {"keras_settings": {"floatx": "float32"}},
    ),
    Case(
        "a limit of epochs left over from a quick try",
        {"variables": {"KERAS_MAX_EPOCHS": "1"}},
        "unset KERAS_MAX_EPOCHS",
        {"keras_settings": {"max_epochs": "1"}},  # which Keras does not read there
    ),
    Case(
        "GPU without CUDA libraries",
        GPU,
        'pip install "tensorflow[and-cuda]==2.19.1"',
        SEEN,
        what="GPU (NVIDIA L4): expected tensorflow to see it. Received: the CPU only. "
        "Expected beside tensorflow 2.19.1: nvidia-cudnn-cu12==9.3.0.75.",
    ),
    Case(
        "GPU with the CUDA libraries of another package",
        packages(**{"nvidia-cudnn-cu12": "9.10.2.21"}) | GPU,
        'pip install "tensorflow[and-cuda]==2.19.1"',
    ),
    Case(
        "GPU with every CUDA library",
        packages(**CUDA) | GPU,
        'TF_CPP_MIN_LOG_LEVEL=0 python -c "import tensorflow as tf; '
        "tf.config.list_physical_devices('GPU')\"  # its log names what it cannot load",
    ),
    Case(
        "GPU that is hidden",
        GPU | {"variables": {"CUDA_VISIBLE_DEVICES": "-1"}},
        "unset CUDA_VISIBLE_DEVICES",
        SEEN | {"variables": {"CUDA_VISIBLE_DEVICES": "0"}},
        severity="note",
    ),
    Case(
        "GPU and a tensorflow without code for it",
        packages(tensorflow=None, **{"tensorflow-cpu": "2.19.1"}) | GPU,
        'pip uninstall -y tensorflow-cpu && pip install "tensorflow[and-cuda]==2.19.1"',
    ),
    Case(
        "GPU under jax",
        GPU | {"variables": {"KERAS_BACKEND": "jax"}},
        'pip install "jax[cuda12]==0.10.2"',
        # Nobody was asked.
        GPU | {"devices": None},
    ),
    Case(
        "GPU on Windows",
        GPU | {"platform": "win32"} | packages(**{"tensorflow-intel": "2.19.1"}),
        "wsl --install",
        severity="note",
    ),
    Case(
        "full disk",
        {"volumes": (Volume("temporary files, Keras's downloads", "/tmp", 40_000_000),)},
        "export TMPDIR=FOLDER && export KERAS_HOME=FOLDER, with a FOLDER on another disk",
        what="disk of '/tmp' (temporary files, Keras's downloads): expected 2 GB of room. "
        "Received: 0.04 GB.",
    ),
    Case(
        "nearly full disk",
        {"volumes": (Volume("the current folder", "/", 1_900_000_000),)},
        "cd FOLDER, with a FOLDER on another disk",
        {"volumes": (Volume("the current folder", "/", 2_100_000_000),)},
        severity="note",
    ),
    Case(
        "two plugins claim one name",
        {
            "packages": {"other": "1.0"},
            "entry_points": {"other": claims("backbones", "efficientnet_lite0")},
        },
        "pip uninstall other or pip uninstall tfxfer-efficientnet",
        {
            "packages": {"other": "1.0"},
            "entry_points": {"other": claims("backbones", "another")},
        },
    ),
    Case(
        "a plugin claims a command of ours",
        {"packages": {"other": "1.0"}, "entry_points": {"other": claims("commands", "train")}},
        "pip uninstall other",
    ),
    Case(
        "a plugin lost its module",
        {
            "packages": {"other": "1.0"},
            "entry_points": {
                "other": claims("heads", "a", "gone_away:A") + "b = gone_away:B\n",
            },
        },
        "pip install --force-reinstall other",
        what="Received: module 'gone_away' is not installed. [other 1.0]",
    ),
    Case(
        "a plugin for a newer tfxfer",
        {
            "packages": {"other": ("1.0", ("tfxfer>=0.2,<0.3",))},
            "entry_points": {"other": claims("heads", "a") + "b = json:dumps\n"},
        },
        "pip install 'tfxfer<0.3,>=0.2'",
        {"packages": PLUGIN, "entry_points": {"other": claims("heads", "a")}},
        what="made for another tfxfer",
    ),
    Case(
        "a name that looks like the end of a message",
        {
            "packages": {"other": ("1.0", ("tfxfer>=0.2,<0.3",))},
            "entry_points": {"other": claims("heads", "an Upgrade a: b [c]")},
        },
        "pip install 'tfxfer<0.3,>=0.2'",
        {"packages": PLUGIN, "entry_points": {"other": claims("heads", "an Upgrade a: b [c]")}},
        what="head 'an Upgrade a: b [c]' was made for another tfxfer: expected contract",
    ),
    Case(
        "tfxfer-edge for an older tfxfer",
        packages(**{"tfxfer-edge": ("0.0.9", ("tfxfer<0.1",))}),
        "pip install --upgrade tfxfer-edge",
    ),
    Case(
        "a part of ours without components, for an older tfxfer",
        packages(**{"tfxfer-extra": ("0.0.9", ("tfxfer==0.0.9",))}),
        "pip install --upgrade tfxfer-extra",
        packages(**{"tfxfer-extra": ("0.1.0", ("tfxfer==0.1.*",))}),
    ),
    Case(
        "a module's own files are gone",
        {"trials": (Trial("keras", "ModuleNotFoundError: …", missing="keras.src"),)},
        'pip install --force-reinstall --no-deps "keras==3.15.1"',
        {"trials": (Trial("keras"), Trial(DEVICES))},
    ),
    Case(
        "a module needs one that nobody declared",
        {"trials": (Trial("mediapipe", "ModuleNotFoundError: …", missing="attr.converters"),)},
        'pip install "attr"',
    ),
    Case(
        "a shared library of the system is absent",
        {
            "trials": (
                Trial(
                    "mediapipe",
                    "ImportError: libGLESv2.so.2: cannot open shared object file: No such file",
                ),
            )
        },
        "apt-get install -y libgles2",
    ),
    Case(
        "an import hangs",
        {"trials": (Trial("tensorflow", "it did not end within 60 s", hung=True),)},
        "tfxfer doctor --timeout 5m",
    ),
    Case(
        "an import crashes",
        {"trials": (Trial("mediapipe", "it ended Python with signal 11: …", signal=11),)},
        'pip install --force-reinstall --no-deps "mediapipe==1.2.2"',
    ),
    Case(
        "a processor without AVX",
        {"trials": (Trial("tensorflow", "…", signal=int(signal.SIGILL)),)},
        "use a processor with AVX: this one lacks an instruction that the wheel was built for",
    ),
    Case(
        "no process could start",
        {"trials": (Trial(PROCESS, "[Errno 28] No space left on device"),)},
        "export TMPDIR=FOLDER, with a FOLDER on a disk that has room",
    ),
    Case(
        "the driver hangs",
        {"trials": (Trial("tensorflow"), Trial(DEVICES, "it did not end", hung=True))},
        "export CUDA_VISIBLE_DEVICES=-1",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_environment_gets_its_remedy(check_remedy: Callable[[Any], None], case: Any) -> None:
    check_remedy(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_healthy_neighbour_gets_none(check_neighbour: Callable[[Any], None], case: Any) -> None:
    check_neighbour(case)
