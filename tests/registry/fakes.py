"""Metadata without files, and entry points that claim to come from it."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

from tfxfer.registry.discovery import DEFAULTS, GROUPS


class FakeDistribution(Distribution):
    """Metadata without files."""

    def __init__(self, name: str, version: str = "1.0", requires: tuple[str, ...] = ()) -> None:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        self._text = "\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires)])

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


def point(
    name: str, value: str, kind: str = "backbone", dist: Distribution | None = None
) -> EntryPoint:
    groups = {found: group for group, found in GROUPS.items()}
    made = EntryPoint(name, value, DEFAULTS if kind == "default" else groups[kind])
    return made if dist is None else made._for(dist)
