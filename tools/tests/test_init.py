"""Every name that `import tfxfer_edge` promises is there and shown, and none costs until asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tfxfer_edge


def test_names_are_sorted_and_shown() -> None:
    functions = [name for name in tfxfer_edge.__all__ if name[0].islower()]
    assert functions == sorted(functions)
    code = (
        "import json, sys, tfxfer_edge\nshown = dir(tfxfer_edge)\n"
        "print(json.dumps([shown, tfxfer_edge.__all__, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    shown, promised, modules = json.loads(done.stdout)
    assert set(promised) <= set(shown)
    assert not {"numpy", "keras", "tensorflow"} & set(modules)


@pytest.mark.parametrize("name", tfxfer_edge.__all__)
def test_every_export_exists(name: str) -> None:
    assert getattr(tfxfer_edge, name) is not None


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="No tfxfer_edge attribute transfer"):
        tfxfer_edge.transfer  # noqa: B018
