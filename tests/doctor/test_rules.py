"""All rules together: what is told first, once, and of which versions."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tfxfer.doctor import Environment, find_problems
from tfxfer.doctor.versions import FIRST_PYTHON, LAST_PYTHON, find_supported

pytestmark = pytest.mark.versions

Make = Callable[..., Environment]
ROOT = Path(__file__).parents[2]


def test_healthy_environment(make_environment: Make) -> None:
    assert find_problems(make_environment()) == ()


def test_problems_come_before_notes(make_environment: Make) -> None:
    packages = {"backports.strenum": "1.3.1", "numpy": "3.0.0"}
    severities = [each.severity for each in find_problems(make_environment(packages))]
    assert severities == ["problem", "note"]


def test_what_contradicts_itself_falls_back_to_what_tfxfer_wants(make_environment: Make) -> None:
    packages = {"keras": "2.15.0", "keras-hub": ("0.1.0", ("keras<3",))}
    (problem,) = find_problems(make_environment(packages))
    assert problem.remedy == 'pip install "keras>=3.15,<4"'


def test_odd_versions_and_requirements_break_nothing(make_environment: Make) -> None:
    odd = ("1.17.0", ("no requirement at all !", "numpy ; nonsense == '1'", "numpy===strange"))
    found = find_problems(make_environment({"onnx": odd, "h5py": "unknown"}))
    assert [each.remedy for each in found] == ["pip install --upgrade onnx"]


def test_supported_versions_are_those_of_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    first, last = (".".join(map(str, each)) for each in (FIRST_PYTHON, LAST_PYTHON))
    pythons = SpecifierSet(project["requires-python"])
    minors = [f"3.{minor}" for minor in range(8, 20) if pythons.contains(f"3.{minor}.1")]
    assert (minors[0], minors[-1]) == (first, last)
    supported = find_supported(Environment(python=f"{first}.0"))
    wanted = {f"{name}{versions}" for name, versions in supported.items()}
    assert wanted <= set(project["dependencies"])
