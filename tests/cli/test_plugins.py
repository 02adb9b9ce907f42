"""`tfxfer plugins` tells what is installed, who brought it, and with --check whether it works."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest

from tfxfer.cli.main import run
from tfxfer.registry.lookup import Registry

Install = Callable[..., None]


def list_plugins(*args: str, registry: Registry | None = None) -> dict[str, list[dict[str, Any]]]:
    stdout = io.StringIO()
    code = run(["plugins", "--json", *args], stdout=stdout, registry=registry or Registry())
    assert code == 0
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads(stdout.getvalue()):
        if entry["distribution"].startswith("tfxfer-double"):
            found.setdefault(entry["name"], []).append(entry)
    return found


def test_json(install_doubles: Install) -> None:
    install_doubles("good_backbone", "claims_taken_name_a", "claims_taken_name_b")
    found = list_plugins()
    assert found["double_tiny"] == [
        {
            "kind": "backbone",
            "name": "double_tiny",
            "distribution": "tfxfer-double-good-backbone",
            "version": "1.0",
            "status": "ok",
        }
    ]
    assert [entry["status"] for entry in found["double_taken"]] == ["conflict", "conflict"]
    assert "claims-taken-name-b" in found["double_taken"][0]["error"]


def test_table(install_doubles: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install_doubles("good_head", "claims_taken_name_a", "claims_taken_name_b")
    stdout = io.StringIO()
    assert run(["plugins"], stdout=stdout, registry=Registry()) == 0
    lines = [line.split() for line in stdout.getvalue().splitlines()]
    assert lines[0] == ["KIND", "NAME", "DISTRIBUTION", "VERSION", "STATUS"]
    assert ["head", "double_softmax", "tfxfer-double-good-head", "1.0", "ok"] in lines
    assert "conflict: backbone double_taken: also claimed by" in capsys.readouterr().err


def test_table_on_a_terminal_is_drawn_by_rich() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stdout = Terminal()
    assert run(["plugins"], stdout=stdout, registry=Registry()) == 0
    assert "DISTRIBUTION" in stdout.getvalue()


def test_nothing_installed_says_what_to_install() -> None:
    stdout = io.StringIO()
    assert run(["plugins"], stdout=stdout, registry=Registry([])) == 0
    assert "pip install tfxfer-efficientnet tfxfer-heads" in stdout.getvalue()
    stdout = io.StringIO()
    assert run(["plugins", "--json"], stdout=stdout, registry=Registry([])) == 0
    assert json.loads(stdout.getvalue()) == []


def test_check_says_broken_and_goes_on(install_doubles: Install) -> None:
    install_doubles("good_backbone", "raises_at_import", "hangs_at_import", "missing_dependency")
    # What is really installed here is not what this test is about, and takes its time.
    doubles = [
        point for point in entry_points(group="tfxfer.backbones") if point.name.startswith("double")
    ]
    listed = list_plugins("--check", "--timeout", "6s", registry=Registry(doubles))
    found = {name: entry for name, (entry,) in listed.items()}
    assert {name: entry["status"] for name, entry in found.items()} == {
        "double_tiny": "ok",
        "double_raises": "broken",
        "double_hangs": "broken",
        "double_needy": "broken",
    }
    assert "error" not in found["double_tiny"]
    assert "this double cannot be imported" in found["double_raises"]["error"]
    assert "did not end within 6 s" in found["double_hangs"]["error"]
    assert "no_such_module_anywhere" in found["double_needy"]["error"]
    assert not [name for name in sys.modules if name.startswith("double_")]
