"""The versions that are installed with each Python: one set each, and all that we promise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfxfer.doctor import Environment
from tfxfer.doctor.versions import find_supported

pytestmark = pytest.mark.versions

ROOT = Path(__file__).parent.parent
CELLS = {"3.11": ("2.19", 4), "3.12": ("2.20", 6), "3.13": ("2.21", 7)}
"""Python, and the TensorFlow and protobuf that are tried with it."""


def read_lines() -> Iterator[Requirement]:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield Requirement(line)


def read_cell(python: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in read_lines():
        if line.marker is None or line.marker.evaluate({"python_version": python}):
            name = canonicalize_name(line.name)
            assert name not in found, f"two versions of {name} on Python {python}"
            found[name] = str(line.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("python", CELLS)
def test_each_python_gets_its_own_tensorflow_and_protobuf(python: str) -> None:
    found = read_cell(python)
    tensorflow, protobuf = CELLS[python]
    minor = f"{tensorflow}."
    assert [found[name].startswith(minor) for name in ("tensorflow", "tf-keras")] == [True, True]
    assert int(found["protobuf"].split(".")[0]) == protobuf
    for name, versions in find_supported(Environment(python=f"{python}.1")).items():
        assert Requirement(f"{name}{versions}").specifier.contains(found[name])


@pytest.mark.parametrize("python", CELLS)
def test_no_python_gets_what_tflite_support_wants(python: str) -> None:
    assert "tflite-support" not in read_cell(python)
    assert Requirement("protobuf>=4.25.8").specifier.contains(read_cell(python)["protobuf"])


def test_every_line_is_exact_and_names_no_address() -> None:
    for line in read_lines():
        assert re.fullmatch(r"==[\w.]+", str(line.specifier)), line
        assert line.url is None


@pytest.mark.parametrize("requirements", ["requirements.txt", "requirements-dev.txt"])
def test_everything_that_is_installed_by_name_is_held(requirements: str) -> None:
    lines = (ROOT / requirements).read_text(encoding="utf-8").splitlines()
    assert "-c constraints.txt" in lines
    named = {line for line in lines if re.match(r"\w", line)}
    for python in CELLS:
        assert {canonicalize_name(name) for name in named} <= read_cell(python).keys()
