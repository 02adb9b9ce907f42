"""The door to one kind of sample: one distribution's, checked, and safe from others' faults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tfxfer.errors import ContractError, ModelError, PluginConflictError, PluginImportError
from tfxfer_edge import door
from tfxfer_edge.door import GROUP, find_door, list_modalities
from tfxfer_edge.modalities.text import TextEdge


class Named(Distribution):
    """Metadata without files."""

    def __init__(self, name: str, requires: str = "") -> None:
        self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


class Scents(TextEdge):
    name = "scent"


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs doors in the place of all others: distributions, and what they name."""
    find_door.cache_clear()

    def make(*offered: tuple[str, Any]) -> None:
        module = ModuleType("double_doors")
        points = []
        for number, (distribution, found) in enumerate(offered):
            setattr(module, f"found{number}", found)
            name, _, requires = distribution.partition(";")
            point = EntryPoint("scent", f"double_doors:found{number}", GROUP)
            points.append(point._for(Named(name, requires)))
        monkeypatch.setitem(sys.modules, "double_doors", module)
        monkeypatch.setattr(door, "find_entry_points", lambda _: iter(points))

    yield make
    find_door.cache_clear()


def test_what_is_offered_is_found(offer: Callable[..., None]) -> None:
    offer(("scents", Scents))
    assert isinstance(find_door("scent"), Scents)
    assert list_modalities() == ("scent",)
    with pytest.raises(ModelError, match="files are made of: scent"):
        find_door("text")


def test_two_distributions_are_a_conflict_that_names_both(offer: Callable[..., None]) -> None:
    # Of a copy even the module is called the same.
    offer(("scents", Scents), ("odours", Scents))
    with pytest.raises(
        PluginConflictError,
        match=r"odours 1\.0, scents 1\.0\. Remove one: .* odours or pip uninstall scents",
    ):
        find_door("scent")
    offer(("scents", Scents), ("Scents", Scents))  # one of them, found twice
    assert find_door("scent").name == "scent"


@pytest.mark.parametrize("found", [3, dict, Scents()], ids=["number", "class", "instance"])
def test_what_is_no_door_breaks_the_contract(offer: Callable[..., None], found: Any) -> None:
    offer(("scents", found))
    with pytest.raises(ContractError, match=r"tfxfer_edge\.EdgeModality.*\[scents 1\.0\]"):
        find_door("scent")


def test_a_door_has_its_modalitys_name(offer: Callable[..., None]) -> None:
    offer(("scents", TextEdge))
    with pytest.raises(ContractError, match=r"expected the name 'scent'\. Received: name='text'"):
        find_door("scent")


def test_one_that_cannot_be_made_is_one_line(offer: Callable[..., None]) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError("no nose")

    offer(("scents", type("Broken", (Scents,), {"__init__": fail})))
    with pytest.raises(ContractError, match=r"RuntimeError: no nose\. \[scents 1\.0\]"):
        find_door("scent")


@pytest.mark.parametrize("error", [ImportError, SyntaxError, SystemExit])
def test_one_that_does_not_import_is_one_line(
    offer: Callable[..., None], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def refuse(_: str) -> Any:
        raise error("no such thing")

    offer(("scents", Scents))
    monkeypatch.setattr("tfxfer.registry.importing.importlib.import_module", refuse)
    with pytest.raises(PluginImportError, match=r"no such thing.*\[scents 1\.0\]"):
        find_door("scent")


def test_one_for_another_tfxfer_says_which_side_to_upgrade(offer: Callable[..., None]) -> None:
    offer(("scents;Requires-Dist: tfxfer>=9", Scents))
    with pytest.raises(ContractError, match="Upgrade tfxfer: pip install 'tfxfer>=9'"):
        find_door("scent")
