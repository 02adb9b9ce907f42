"""Doubles of plugins, put on sys.path with metadata of their own, as pip would do it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DOUBLES = Path(__file__).parent / "plugins"


def write_metadata(pyproject: Path, site: Path) -> None:
    """Writes the *.dist-info that an installer would make from a pyproject.toml."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in project["dependencies"]]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sections = []
    for group, points in project["entry-points"].items():
        sections += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")


@pytest.fixture
def install_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Call it with names of folders in tests/plugins: until the test ends they are installed.

    Processes that the test starts see them, too.
    """
    site = tmp_path / "site-of-doubles"
    before = set(sys.modules)

    def install(*names: str) -> None:
        folders = [DOUBLES / name for name in names]
        for folder in folders:
            write_metadata(folder / "pyproject.toml", site)
        paths = [str(site), *map(str, folders)]
        for path in reversed(paths):
            monkeypatch.syspath_prepend(path)
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
        )

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("double_"):
            del sys.modules[name]
