"""`import tfxfer` is cheap, and every name it promises is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tfxfer


def test_all_is_sorted_and_complete() -> None:
    assert sorted(tfxfer.__all__) == sorted([*tfxfer._EXPORTS, "__version__"])
    assert list(tfxfer._EXPORTS) == sorted(tfxfer._EXPORTS)
    assert len(set(tfxfer.__all__)) == len(tfxfer.__all__)
    assert set(tfxfer.__all__) <= set(dir(tfxfer))


@pytest.mark.parametrize("name", sorted(tfxfer._EXPORTS))
def test_every_export_exists(name: str) -> None:
    value = getattr(tfxfer, name)
    module = sys.modules[tfxfer._EXPORTS[name]]
    assert value is getattr(module, name)
    assert name in module.__all__


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'transfer'"):
        tfxfer.transfer  # noqa: B018


def test_import_is_light() -> None:
    code = (
        "import time\nstarted = time.perf_counter()\nimport tfxfer\n"
        "seconds = time.perf_counter() - started\nimport json, sys\n"
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
    # 10 ms on a busy machine; the best of three, since others may be using it.
    assert min(seconds) < 0.1
