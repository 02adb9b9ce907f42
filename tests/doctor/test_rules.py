"""Every known bad combination gets its remedy and no other, and its healthy neighbour gets none."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tfxfer.doctor import Environment, find_problems
from tfxfer.doctor.environment import DEVICES, PROCESS, Device, Trial, Volume
from tfxfer.doctor.versions import SUPPORTED

Make = Callable[..., Environment]
ROOT = Path(__file__).parents[2]
NEW = "python3.11 -m venv tfxfer-env && tfxfer-env/bin/pip install "
TENSORFLOW_221 = (
    "2.21.0",
    ("numpy>=1.26.0", "protobuf>=6.31.1,<8.0.0", "tensorboard~=2.21.0"),
)
LATE = {  # TensorFlow 2.21 with what goes with it
    "tensorflow": TENSORFLOW_221,
    "tensorboard": "2.21.0",
    "tf_keras": ("2.21.0", ("tensorflow<2.22,>=2.21",)),
    "protobuf": "6.33.0",
    "onnx": None,
}
CUDA = {"nvidia-cudnn-cu12": "9.3.0.75"}
GPU: dict[str, Any] = {"gpus": ("NVIDIA L4",), "devices": (Device("cpu", "CPU:0"),)}
SEEN = GPU | {"devices": (Device("cpu", "CPU:0"), Device("gpu", "GPU:0"))}


def claims(kind: str, name: str, value: str = "json:loads") -> str:
    return f"[tfxfer.{kind}]\n{name} = {value}\n"


@dataclass(frozen=True)
class Case:
    """`broken` gets the remedy alone; `sound` gets nothing. Both are arguments of the fixture."""

    name: str
    broken: Mapping[str, Any]
    remedy: str
    sound: Mapping[str, Any] = field(default_factory=dict)
    severity: str = "problem"
    what: str = ""


def packages(**changes: Any) -> dict[str, Any]:
    return {"packages": {name.replace("__", "-"): found for name, found in changes.items()}}


PLUGIN = {"other": ("1.0", ("tfxfer>=0.1,<0.2",))}

CASES = [
    Case(
        "python too old",
        {"python": "3.10.4"},
        NEW + "tfxfer",
        {"python": "3.11.0"},
        what="Python: expected 3.11 or newer. Received: Python 3.10.4.",
    ),
    Case(
        "python too new for tensorflow",
        packages(tensorflow=None, tf_keras=None, **{"tensorflow-hub": None, "tflite-support": None})
        | {"python": "3.14.0"},
        NEW + "tfxfer",
        # On 3.13 a wheel exists.
        packages(**LATE, **{"tflite-support": None, "tfxfer-edge": None})
        | {"python": "3.13.1", "ignore_notes": True},
        what="3.11 to 3.13",
    ),
    Case(
        "tensorflow absent",
        packages(tensorflow=None),
        # What tf-keras 2.19 declares narrows our own range.
        'pip install "tensorflow>=2.19,<2.20"',
        what="tensorflow: expected >=2.19,<2.22. Received: none.",
    ),
    Case(
        "tensorflow too old",
        packages(tensorflow=("2.16.2", ()), tf_keras=("2.16.0", ("tensorflow<2.17,>=2.16",))),
        'pip install "tensorflow>=2.19,<2.22" "tf-keras>=2.19,<2.22"',
    ),
    Case(
        "keras 2",
        packages(keras="2.15.0"),
        'pip install "keras>=3.12,<4"',
        packages(keras="3.12.0"),
        what="keras: expected >=3.12,<4. Received: 2.15.0.",
    ),
    Case("keras 4", packages(keras="4.0.0"), 'pip install "keras>=3.12,<4"'),
    Case("keras absent", packages(keras=None), 'pip install "keras>=3.12,<4"'),
    Case(
        "two distributions of tensorflow",
        packages(**{"tensorflow-cpu": "2.19.1"}),
        'pip uninstall -y tensorflow tensorflow-cpu && pip install "tensorflow>=2.19,<2.20"',
        # tensorflow-cpu alone is a TensorFlow like any other.
        packages(tensorflow=None, **{"tensorflow-cpu": "2.19.1"}),
    ),
    Case(
        "nightly beside the release",
        packages(**{"tf-nightly": "2.22.0.dev1"}),
        'pip uninstall -y tensorflow tf-nightly && pip install "tensorflow>=2.19,<2.20"',
    ),
    Case(
        "tensorflow-intel is a part of tensorflow on Windows only",
        packages(**{"tensorflow-intel": "2.19.1"}),
        'pip uninstall -y tensorflow tensorflow-intel && pip install "tensorflow>=2.19,<2.20"',
        packages(**{"tensorflow-intel": "2.19.1"}) | {"platform": "win32"},
    ),
    Case(
        "model maker",
        packages(**{"mediapipe-model-maker": ("0.2.1.4", ("tensorflow<2.16,>=2.10",))}),
        "pip uninstall -y mediapipe-model-maker",
    ),
    Case(
        "tflite-support beside a late tensorflow",
        packages(**LATE),
        'pip install "tensorflow>=2.19,<2.20" "tf-keras>=2.19,<2.20" "tflite-support==0.4.4" '
        '"protobuf>=3.20.3,<4"',
        packages(**LATE, **{"tflite-support": None, "tfxfer-edge": None}) | {"ignore_notes": True},
        what="Received: tensorflow 2.21.0.",
    ),
    Case(
        "tflite-support as an unpinned resolver picks it",
        packages(**{"tflite-support": ("0.1.0a1", ())}),
        'pip install "tflite-support==0.4.4"',
        packages(**{"tflite-support": "0.4.4"}),
    ),
    Case(
        "protobuf too new for tflite-support",
        packages(protobuf="5.29.0"),
        'pip install "protobuf>=3.20.3,<4"',
        packages(protobuf="3.20.2", tensorflow=("2.19.1", ())),
        what="tflite-support 0.4.4: expected protobuf < 4. Received: protobuf 5.29.0.",
    ),
    Case(
        "onnx that needs a newer protobuf",
        packages(onnx=("1.18.0", ("protobuf>=4.25.1",)), protobuf="5.29.0"),
        'pip install "protobuf>=3.20.3,<4" "onnx>=1.17,<1.18"',
        packages(
            onnx=("1.18.0", ("protobuf>=4.25.1",)),
            protobuf="5.29.0",
            **{"tflite-support": None, "tfxfer-edge": None},
        )
        | {"ignore_notes": True},
    ),
    Case(
        "metadata wanted on a later python",
        packages(**{"tflite-support": None}) | {"python": "3.12.3"},
        NEW + '"tfxfer-edge[metadata]"',
        {"python": "3.11.2"},
        severity="note",
    ),
    Case(
        "metadata wanted",
        packages(**{"tflite-support": None}),
        'pip install "tfxfer-edge[metadata]"',
        severity="note",
    ),
    Case(
        "metadata wanted beside a late tensorflow",
        packages(**LATE, **{"tflite-support": None}),
        'pip install "tensorflow>=2.19,<2.20" "tf-keras>=2.19,<2.20" "tfxfer-edge[metadata]"',
        severity="note",
    ),
    Case(
        "tf-keras of another minor",
        packages(tf_keras=("2.18.0", ("tensorflow<2.19,>=2.18",))),
        'pip install "tf-keras>=2.19,<2.20"',
        what="tf-keras: expected >=2.19,<2.20, like tensorflow 2.19.1. Received: 2.18.0.",
    ),
    Case(
        "tensorflow-text of another minor",
        packages(**{"tensorflow-text": ("2.20.1", ("tensorflow<2.21,>=2.20",))}),
        'pip install "tensorflow-text>=2.19,<2.20"',
        packages(**{"tensorflow-text": ("2.19.0", ("tensorflow<2.20,>=2.19",))}),
    ),
    Case(
        "tf-keras that hub wants is absent",
        packages(tf_keras=None),
        # The newest would bring a newer TensorFlow along.
        'pip install "tf-keras>=2.19,<2.20"',
        what="tf-keras: expected >=2.14.1, for tensorflow-hub 0.16.1. Received: none.",
    ),
    Case(
        "setuptools without pkg_resources",
        packages(setuptools="82.0.0")
        | {"trials": (Trial("tensorflow_hub", "…", missing="pkg_resources"),)},
        'pip install "setuptools<81"',
        packages(setuptools="82.0.0", **{"tensorflow-hub": None}),
        what="tensorflow-hub 0.16.1 imports pkg_resources: expected setuptools < 81.",
    ),
    Case(
        "setuptools that warns",
        packages(setuptools="81.0.0"),
        'pip install "setuptools<81"',
        packages(setuptools="80.9.0"),
    ),
    Case("no setuptools", packages(setuptools=None), 'pip install "setuptools<81"'),
    Case(
        "quantizer absent",
        packages(**{"litert-quantizer": None}),
        'pip install "litert-quantizer>=0.11"',
    ),
    Case(
        "quantizer under its former name",
        packages(**{"litert-quantizer": None, "ai-edge-quantizer": "0.4.0"}),
        'pip uninstall -y ai-edge-quantizer && pip install "litert-quantizer>=0.11"',
        packages(**{"ai-edge-quantizer": "0.4.0"}),
    ),
    Case(
        "LiteRT absent",
        packages(**{"ai-edge-litert": None}),
        # The quantizer wants exactly this one.
        'pip install "ai-edge-litert==2.3.0"',
    ),
    Case(
        "LiteRT newer than its quantizer",
        packages(**{"ai-edge-litert": "2.4.0"}),
        'pip install "ai-edge-litert==2.3.0"',
        what="ai-edge-litert: expected ==2.3.0, for litert-quantizer 0.11.0. Received: 2.4.0.",
    ),
    Case(
        "mediapipe before what was tried",
        packages(mediapipe="0.10.21"),
        'pip install "mediapipe>=1.2"',
        packages(mediapipe="1.2.0"),
        severity="note",
    ),
    Case(
        "another opencv does",
        packages(**{"opencv-contrib-python": None}),
        "pip install opencv-contrib-python",
        packages(**{"opencv-contrib-python": None, "opencv-python-headless": "5.0.0"}),
    ),
    Case(
        "strenum that forbids this python",
        packages(**{"backports.strenum": "1.3.1"}),
        'pip install "backports.strenum==1.2.8"',
        packages(**{"backports.strenum": "1.2.8"}),
        severity="note",
    ),
    Case(
        "numpy newer than tensorflow knows",
        packages(numpy="2.3.1"),
        'pip install "numpy>=1.26.0,<2.2.0"',
        packages(numpy="2.1.0"),
        what="numpy: expected >=1.26.0,<2.2.0, for tensorflow 2.19.1. Received: 2.3.1.",
    ),
    Case(
        "one line for all who want numpy",
        packages(numpy="1.24.0", jax=("0.10.2", ("numpy>=2.0",))),
        'pip install "numpy>=2.0,<2.2.0"',
    ),
    Case(
        "something that keras needs is absent",
        packages(h5py=None),
        "pip install h5py",
        what="h5py: expected any version, for keras 3.15.1. Received: none.",
    ),
    Case(
        "a marker is evaluated for the environment's own python",
        packages(keras=("3.15.1", ('tomli ; python_version < "3.12"',))),
        "pip install tomli",
        packages(keras=("3.15.1", ('tomli ; python_version < "3.11"', "six ; extra == 'x'"))),
    ),
    Case(
        "no backbones",
        packages(**{"tfxfer-efficientnet": None}),
        "pip install tfxfer-efficientnet",
        severity="note",
    ),
    Case(
        "no heads", packages(**{"tfxfer-heads": None}), "pip install tfxfer-heads", severity="note"
    ),
    Case(
        "no export",
        packages(**{"tfxfer-edge": None}),
        "pip install tfxfer-edge",
        severity="note",
    ),
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
        "no libusb",
        packages(**{"libusb-package": None}) | {"libusb": None},
        "pip install libusb-package importlib_resources",
        packages(**{"libusb-package": None}) | {"libusb": "system"},
    ),
    Case(
        "libusb-package without importlib_resources",
        packages(importlib_resources=None) | {"libusb": None},
        "pip install libusb-package importlib_resources",
    ),
    Case(
        "libusb-package that does not load",
        {"libusb": None},
        "pip install --force-reinstall libusb-package importlib_resources",
        packages(**{"tflite-support": None, "tfxfer-edge": None})
        | {"libusb": None, "ignore_notes": True},
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


def find(make: Make, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    arguments = dict(arguments)
    only_problems = arguments.pop("ignore_notes", False)
    found = find_problems(make(**arguments))
    return [
        (each.severity, each.remedy)
        for each in found
        if not only_problems or each.severity == "problem"
    ]


def test_healthy_environment(make_environment: Make) -> None:
    assert find_problems(make_environment()) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_environment_gets_its_remedy(make_environment: Make, case: Case) -> None:
    arguments = dict(case.broken)
    found = [
        each
        for each in find_problems(make_environment(**arguments))
        # Some are broken in a way that leaves a wish open, too.
        if each.severity == case.severity or case.severity == "note"
    ]
    assert [(each.severity, each.remedy) for each in found] == [(case.severity, case.remedy)]
    assert case.what in found[0].what
    assert "xpected" in found[0].what
    assert "Received" in found[0].what


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_healthy_neighbour_gets_none(make_environment: Make, case: Case) -> None:
    assert find(make_environment, case.sound) == []


def test_problems_come_before_notes(make_environment: Make) -> None:
    packages = {"backports.strenum": "1.3.1", "numpy": "3.0.0"}
    severities = [each.severity for each in find_problems(make_environment(packages))]
    assert severities == ["problem", "note"]


def test_what_contradicts_itself_falls_back_to_what_tfxfer_wants(make_environment: Make) -> None:
    packages = {"keras": "2.15.0", "keras-hub": ("0.1.0", ("keras<3",))}
    (problem,) = find_problems(make_environment(packages))
    assert problem.remedy == 'pip install "keras>=3.12,<4"'


def test_odd_versions_and_requirements_break_nothing(make_environment: Make) -> None:
    odd = ("1.17.0", ("no requirement at all !", "numpy ; nonsense == '1'", "numpy===strange"))
    found = find_problems(make_environment({"onnx": odd, "h5py": "unknown"}))
    assert [each.remedy for each in found] == ["pip install --upgrade onnx"]


def test_supported_versions_are_those_of_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["dependencies"]
    assert {f"{name}{versions}" for name, versions in SUPPORTED.items()} <= set(declared)
