"""Every known bad combination of packages gets its remedy and no other, its neighbour none."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest

from tfxfer.doctor.environment import Trial

Case = namedtuple("Case", "name broken remedy sound severity what", defaults=({}, "problem", ""))
NEW = "python3.13 -m venv tfxfer-env && tfxfer-env/bin/pip install "
TENSORFLOW_220 = (
    "2.20.0",
    ("numpy>=1.26.0", "protobuf>=5.28.0", "h5py>=3.11.0", "tensorboard~=2.20.0"),
)
TENSORFLOW_221 = (
    "2.21.0",
    ("numpy>=1.26.0", "protobuf<8.0.0,>=6.31.1", "h5py<3.15.0,>=3.11.0"),
)
MIDDLE = {  # TensorFlow 2.20 with what goes with it
    "tensorflow": TENSORFLOW_220,
    "tensorboard": "2.20.0",
    "tf_keras": ("2.20.1", ("tensorflow<2.21,>=2.20",)),
    "protobuf": "6.33.6",
    "numpy": "2.5.5",
}
LATE = {  # TensorFlow 2.21 with what goes with it; it brings no tensorboard
    "tensorflow": TENSORFLOW_221,
    "tensorboard": None,
    "tf_keras": ("2.21.0", ("tensorflow<2.22,>=2.21",)),
    "protobuf": "7.36.2",
    "h5py": "3.14.0",
    "numpy": "2.5.5",
}


def packages(**changes: Any) -> dict[str, Any]:
    return {"packages": {name.replace("__", "-"): found for name, found in changes.items()}}


CASES = [
    Case(
        "python too old",
        {"python": "3.10.4"},
        NEW + "tfxfer",
        {"python": "3.11.0"},
        what="Python: expected 3.11 to 3.13. Received: Python 3.10.4.",
    ),
    Case(
        "python too new for tensorflow",
        packages(tensorflow=None, tf_keras=None, **{"tensorflow-hub": None}) | {"python": "3.14.0"},
        NEW + "tfxfer",
        packages(**LATE) | {"python": "3.13.1"},
        what="Python: expected 3.11 to 3.13, which TensorFlow has wheels for. "
        "Received: Python 3.14.0.",
    ),
    Case(
        "tensorflow without wheels for this python",
        # As after an upgrade of Python in place, with what went with the old one.
        {"python": "3.13.1"},
        'pip install "tensorflow>=2.20,<2.22" "tf-keras>=2.20,<2.22"',
        packages(**MIDDLE) | {"python": "3.13.1"},
        what="tensorflow: expected >=2.20,<2.22. Received: 2.19.1.",
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
        'pip install "keras>=3.15,<4"',
        packages(keras="3.15.0"),
        what="keras: expected >=3.15,<4. Received: 2.15.0.",
    ),
    Case("keras 4", packages(keras="4.0.0"), 'pip install "keras>=3.15,<4"'),
    Case("keras absent", packages(keras=None), 'pip install "keras>=3.15,<4"'),
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
        "protobuf too old for tensorflow 2.21",
        packages(**LATE | {"protobuf": "5.29.6"}) | {"python": "3.12.3"},
        'pip install "protobuf>=6.31.1,<8.0.0"',
        packages(**LATE | {"protobuf": "6.31.1"}) | {"python": "3.12.3"},
        what="protobuf: expected >=6.31.1,<8.0.0, for tensorflow 2.21.0. Received: 5.29.6.",
    ),
    Case(
        "protobuf too new for tensorflow 2.21",
        packages(**LATE | {"protobuf": "8.0.0"}) | {"python": "3.13.0"},
        'pip install "protobuf>=6.31.1,<8.0.0"',
    ),
    Case(
        "protobuf too new for tensorflow 2.19",
        packages(protobuf="6.33.6"),
        'pip install "protobuf>=4.25.1,<6.0.0dev"',
        packages(protobuf="5.29.6"),
    ),
    Case(
        "h5py too new for tensorflow 2.21",
        packages(**LATE | {"h5py": "3.16.0"}) | {"python": "3.13.0"},
        'pip install "h5py>=3.11.0,<3.15.0"',
        packages(**MIDDLE | {"h5py": "3.16.0"}) | {"python": "3.15.0"},
        what="h5py: expected >=3.11.0,<3.15.0, for tensorflow 2.21.0. Received: 3.16.0.",
    ),
    Case(
        "protobuf with a known fault",
        packages(protobuf="3.20.3", onnx=("1.17.0", ("protobuf >=3.20.2",))),
        'pip install "protobuf>=4.25.8,<6.0.0dev"',
        packages(protobuf="4.25.8", onnx=("1.17.0", ("protobuf >=3.20.2",))),
        severity="note",
        what="protobuf: expected >=4.25.8, the first without CVE-2025-4565. Received: 3.20.3.",
    ),
    Case(
        "protobuf that tflite-support holds down",
        packages(
            protobuf="3.20.3",
            onnx=None,
            **{"tflite-support": ("0.4.4", ("protobuf (<4,>=3.18.0)",))},
        ),
        'pip uninstall -y tflite-support && pip install "protobuf>=4.25.8,<6.0.0dev"',
        # Beside a newer one it is idle: nothing of ours needs it.
        packages(**{"tflite-support": ("0.4.4", ("protobuf (<4,>=3.18.0)",))}),
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
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_environment_gets_its_remedy(check_remedy: Callable[[Any], None], case: Any) -> None:
    check_remedy(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_healthy_neighbour_gets_none(check_neighbour: Callable[[Any], None], case: Any) -> None:
    check_neighbour(case)
