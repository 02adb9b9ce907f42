"""`import tfxfer` is cheap, and every name it promises is there."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tfxfer


def _exports() -> dict[str, str]:
    """Returns the module of every name, as type checkers read it."""
    stub = Path(tfxfer.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {
        alias.asname or alias.name: str(node.module)
        for node in ast.walk(ast.parse(stub))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_is_sorted_and_complete() -> None:
    assert list(tfxfer.__all__) == sorted(tfxfer.__all__)
    assert set(tfxfer.__all__) == set(_exports())
    assert set(tfxfer.__all__) <= set(dir(tfxfer))


@pytest.mark.parametrize("name", sorted(tfxfer.__all__))
def test_every_export_exists(name: str) -> None:
    value = getattr(tfxfer, name)
    module = importlib.import_module(f"tfxfer.{_exports()[name]}")
    assert value is getattr(module, name)
    assert name in module.__all__


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="No tfxfer attribute transfer"):
        tfxfer.transfer  # noqa: B018


def test_import_is_light() -> None:
    code = (
        "import time\nstarted = time.process_time()\nimport tfxfer\n"
        "seconds = time.process_time() - started\nimport json, sys\n"
        "tfxfer.Backbone, tfxfer.Head, tfxfer.Preprocessing, tfxfer.get_backbone\n"
        "print(json.dumps([seconds, sorted(sys.modules)]))"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        second, modules = json.loads(done.stdout)
        seconds.append(second)
    assert not {"numpy", "keras", "tensorflow", "click", "rich", "PIL"} & set(modules)
    # 10 ms of the processor, so that other work does not count; the best of three.
    assert min(seconds) < 0.1
