"""Environments that are put together from `*.dist-info` folders, as pip would leave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfxfer.doctor import Environment, collect, find_problems
from tfxfer.doctor.environment import Device, Volume

Requires = tuple[str, ...]
Packages = Mapping[str, str | tuple[str, Requires] | None]

# An environment that fits together, with what these versions declare as far as it matters here.
HEALTHY: Mapping[str, tuple[str, Requires]] = {
    "tfxfer": ("0.1.0", ("keras>=3.15,<4", "tensorflow>=2.19,<2.22", "ai-edge-litert>=2.1")),
    "tfxfer-edge": ("0.1.0", ("tfxfer>=0.1,<0.2", "litert-quantizer>=0.11")),
    "tfxfer-efficientnet": ("0.1.0", ("tfxfer>=0.1,<0.2", "keras>=3.15,<4")),
    "tfxfer-heads": ("0.1.0", ("tfxfer>=0.1,<0.2",)),
    "tensorflow": (
        "2.19.1",
        (
            "numpy <2.2.0,>=1.26.0",
            "keras >=3.5.0",
            "protobuf !=4.21.0,<6.0.0dev,>=3.20.3",
            "tensorboard ~=2.19.0",
            'tensorflow-intel ==2.19.1 ; platform_system == "Windows"',
            "nvidia-cudnn-cu12 ==9.3.0.75 ; extra == 'and-cuda'",
        ),
    ),
    "tensorboard": ("2.19.0", ()),
    "keras": ("3.15.1", ("numpy", "h5py")),
    "h5py": ("3.16.0", ()),
    "numpy": ("2.1.3", ()),
    "protobuf": ("4.25.9", ()),
    "ai-edge-litert": ("2.3.0", ()),
    "litert-quantizer": ("0.11.0", ("ai-edge-litert==2.3.0",)),
    "tf_keras": ("2.19.0", ("tensorflow<2.20,>=2.19",)),
    "tensorflow-hub": ("0.16.1", ("tf-keras >=2.14.1",)),
    "setuptools": ("80.10.2", ()),
    "backports.strenum": ("1.2.8", ()),
    "mediapipe": ("1.2.2", ("opencv-contrib-python",)),
    "opencv-contrib-python": ("5.0.0.93", ()),
    "onnx": ("1.22.0", ("protobuf>=4.25.1",)),
    "jax": ("0.10.2", ("jaxlib<=0.10.2,>=0.10.1",)),
    "jaxlib": ("0.10.2", ()),
}
ENTRY_POINTS = {
    "tfxfer-efficientnet": "[tfxfer.backbones]\nefficientnet_lite0 = json:loads\n",
    "tfxfer-heads": "[tfxfer.heads]\nclassification = json:loads\n",
    "tfxfer-edge": "[tfxfer.commands]\nexport = json:loads\n",
}


def write_distribution(
    site: Path, name: str, version: str, requires: Requires = (), entry_points: str = ""
) -> Path:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if entry_points:
        (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    return folder


@pytest.fixture
def make_environment(tmp_path: Path) -> Callable[..., Environment]:
    """Returns a function that installs the healthy packages, changed, and looks at them.

    Packages are given as a version, a version with what it requires, or None for absent. Keyword
    arguments replace what lies outside the packages, which is healthy, too, unless they say so.
    """
    sites = iter(range(100))

    def make(
        packages: Packages | None = None,
        entry_points: Mapping[str, str] | None = None,
        **outside: Any,
    ) -> Environment:
        site = tmp_path / f"site_{next(sites)}"
        points = {**ENTRY_POINTS, **(entry_points or {})}
        for name, found in {**HEALTHY, **(packages or {})}.items():
            if found is None:
                continue
            known = HEALTHY[name][1] if name in HEALTHY else ()
            version, requires = (found, known) if isinstance(found, str) else found
            write_distribution(site, name, version, requires, points.get(name, ""))
        environment = collect(path=[str(site)], variables={})
        healthy: dict[str, Any] = {
            "python": "3.11.9",
            "platform": "linux",
            "gpus": (),
            "devices": (Device("cpu", "CPU:0"),),
            "volumes": (Volume("the current folder", "/", 50_000_000_000),),
            "caches": (),
            "variables": {},
            "keras_config": "/home/me/.keras/keras.json",
            "keras_settings": {"backend": "tensorflow", "image_data_format": "channels_last"},
        }
        return replace(environment, **(healthy | outside))

    return make


@pytest.fixture
def check_remedy(make_environment: Callable[..., Environment]) -> Callable[[Any], None]:
    """Returns an assertion: what is broken in a case gets its remedy, and no other.

    A case has a `name`, the arguments of `make_environment` where it is `broken` and where its
    neighbour is `sound`, the `remedy`, its `severity`, and a part of `what` is said.
    """

    def check(case: Any) -> None:
        found = [
            each
            for each in find_problems(make_environment(**case.broken))
            # Some are broken in a way that leaves a wish open, too.
            if each.severity == case.severity or case.severity == "note"
        ]
        assert [(each.severity, each.remedy) for each in found] == [(case.severity, case.remedy)]
        assert case.what in found[0].what
        assert "xpected" in found[0].what
        assert "Received" in found[0].what

    return check


@pytest.fixture
def check_neighbour(make_environment: Callable[..., Environment]) -> Callable[[Any], None]:
    """Returns an assertion: nothing is found in the sound neighbour of a case."""

    def check(case: Any) -> None:
        arguments = dict(case.sound)
        only_problems = arguments.pop("ignore_notes", False)
        found = find_problems(make_environment(**arguments))
        wrong = [each for each in found if not only_problems or each.severity == "problem"]
        assert [(each.severity, each.remedy) for each in wrong] == []

    return check
