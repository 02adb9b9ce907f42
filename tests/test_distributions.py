"""What is built of each distribution holds what it should, and nothing else."""

from __future__ import annotations

import email
import hashlib
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfxfer.version import __version__

ROOT = Path(__file__).parent.parent
FOLDERS = {
    folder.name if folder != ROOT else "tfxfer": folder
    for folder in (ROOT, ROOT / "tools", *sorted((ROOT / "plugins").glob("tfxfer-*")))
}
DATA = {".css", ".html", ".j2", ".pyi", ".tmpl", ".toml", ".typed"}
"""Endings of what a package holds beside its modules."""

MOST_BYTES_BESIDE, MOST_BYTES_A_MODULE = 250_000, 40_000
"""Of all that is no module, and of each module: weights, photos and records have no place here."""

LICENSE = (ROOT / "LICENSE").read_bytes()


def read_project(name: str) -> dict[str, Any]:
    text = (FOLDERS[name] / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["project"]
    return found


def check_sizes(sizes: dict[str, int]) -> None:
    modules = {path: size for path, size in sizes.items() if path.endswith(".py")}
    assert sum(sizes.values()) - sum(modules.values()) < MOST_BYTES_BESIDE
    assert {path: size for path, size in modules.items() if size >= MOST_BYTES_A_MODULE} == {}


def test_sizes_that_are_too_large_are_found() -> None:
    check_sizes({"a.py": MOST_BYTES_A_MODULE - 1, "b.py": 9, "c.html": MOST_BYTES_BESIDE - 1})
    for wrong in ({"a.py": MOST_BYTES_A_MODULE}, {"weights.npz": MOST_BYTES_BESIDE}):
        with pytest.raises(AssertionError):
            check_sizes(wrong)


def build_wheel(folder: Path, out: Path) -> Path:
    (path,) = WheelBuilder(str(folder)).build(directory=str(out), versions=["standard"])
    return Path(path)


def read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module", params=FOLDERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The name of a distribution, its wheel and its sdist."""
    folder, out = FOLDERS[request.param], tmp_path_factory.mktemp("built")
    (sdist,) = SdistBuilder(str(folder)).build(directory=str(out))
    return request.param, build_wheel(folder, out), Path(sdist)


def list_package(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder.parent).as_posix()


def find_package(name: str) -> Path:
    text = (FOLDERS[name] / "pyproject.toml").read_text(encoding="utf-8")
    (package,) = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return FOLDERS[name] / str(package)


def test_a_wheel_holds_its_package_and_what_pip_needs(built: tuple[str, Path, Path]) -> None:
    name, wheel, _ = built
    content = read_wheel(wheel)
    package = find_package(name)
    project = read_project(name)
    described = f"{project['name'].replace('-', '_')}-{__version__}.dist-info"
    own = {item for item in content if not item.startswith(f"{described}/")}
    assert own == set(list_package(package))
    assert {Path(item).suffix for item in own} <= {".py", *DATA}
    assert f"{package.name}/py.typed" in own
    modules = {item for item in own if not item.endswith(".tmpl")}
    assert not [x for x in modules if "/tests/" in x or Path(x).name.startswith(".")]
    assert {item.removeprefix(f"{described}/") for item in set(content) - own} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert content[f"{described}/licenses/LICENSE"] == LICENSE
    check_sizes({path: len(data) for path, data in content.items()})
    # Nothing of the machine that built it.
    for item, data in content.items():
        assert str(ROOT).encode() not in data, item


def test_metadata_says_what_pyproject_says(built: tuple[str, Path, Path]) -> None:
    name, wheel, _ = built
    content, project = read_wheel(wheel), read_project(name)
    (folder,) = {item.split("/")[0] for item in content if item.endswith("/METADATA")}
    found = email.message_from_bytes(content[f"{folder}/METADATA"])
    assert canonicalize_name(str(found["Name"])) == canonicalize_name(project["name"])
    assert found["Version"] == __version__
    assert found["License-Expression"] == "Apache-2.0"
    assert found["License-File"] == "LICENSE"
    assert {*str(found["Requires-Python"]).split(",")} == {*project["requires-python"].split(",")}
    wanted = [Requirement(line) for line in project["dependencies"]]
    said = [Requirement(line) for line in found.get_all("Requires-Dist", [])]
    assert {(canonicalize_name(x.name), x.specifier) for x in said if x.marker is None} == {
        (canonicalize_name(x.name), x.specifier) for x in wanted
    }
    assert [x for x in said if x.url is not None] == []
    payload = found.get_payload()
    assert isinstance(payload, str)
    assert payload.startswith("# ")  # the README
    points = ConfigParser(delimiters=("=",))
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(content[f"{folder}/entry_points.txt"].decode())
    groups = {group: dict(points[group]) for group in points.sections()}
    assert groups == {
        **project.get("entry-points", {}),
        **({"console_scripts": project["scripts"]} if "scripts" in project else {}),
    }


def test_an_sdist_builds_the_same_wheel(built: tuple[str, Path, Path], tmp_path: Path) -> None:
    _, wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    again = read_wheel(build_wheel(folder, tmp_path / "out"))
    first = read_wheel(wheel)
    assert set(again) == set(first)
    assert {item for item in first if again[item] != first[item]} == set()


def test_an_sdist_holds_no_more_than_its_sources(built: tuple[str, Path, Path]) -> None:
    name, _, sdist = built
    package = find_package(name).name
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() for member in members)
    paths = [member.name.partition("/")[2] for member in members]
    known = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", ".gitignore", "CHANGELOG.md"}
    strange = {path for path in paths if path.split("/")[0] not in {package, "tests", *known}}
    assert strange == set()
    assert {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE"} <= set(paths)
    assert not [path for path in paths if "__pycache__" in path or path.endswith(".pyc")]
    check_sizes({member.name: member.size for member in members})


def test_a_wheel_is_the_same_whoever_builds_it(
    built: tuple[str, Path, Path], tmp_path: Path
) -> None:
    name, wheel, _ = built
    again = build_wheel(FOLDERS[name], tmp_path)
    assert hash_file(again) == hash_file(wheel)


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_stray_file_is_noticed(tmp_path: Path) -> None:
    """The check of contents, on a distribution that has one too many."""
    package = tmp_path / "stray"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "notes.txt").write_text("to do")
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "stray"\nversion = "1.0"\n'
    )
    own = {x for x in read_wheel(build_wheel(tmp_path, tmp_path / "out")) if "dist-info" not in x}
    assert own == set(list_package(package))
    assert not {Path(item).suffix for item in own} <= {".py", *DATA}


def read_floors(project: Mapping[str, Any]) -> Iterator[Requirement]:
    extras = project.get("optional-dependencies", {}).values()
    for line in (*project["dependencies"], *(line for lines in extras for line in lines)):
        yield Requirement(line)


@pytest.mark.parametrize("name", FOLDERS)
def test_every_dependency_has_a_floor(name: str) -> None:
    """One without is met by the first version there ever was."""
    for requirement in read_floors(read_project(name)):
        floors = [x for x in requirement.specifier if x.operator in (">=", "==", "~=")]
        assert len(floors) == 1, requirement
        # tflite-micro has never had another release than of a day.
        assert re.fullmatch(r"\d+(\.\d+)*(\.dev\d{14})?", floors[0].version), requirement
