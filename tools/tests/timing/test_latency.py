from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.timing import latency
from tfxfer_edge.timing.latency import measure, median_latencies

MEASURED = {"load_ms": 2.0, "laps_ms": [1.0, 3.0, 2.0], "peak_memory_bytes": 5}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Returns what measures a file in a process that prints what it is told to."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"TFL3")

    def run(text: str) -> Any:
        done = subprocess.CompletedProcess([], 0, stdout=text, stderr="")
        monkeypatch.setattr(latency.subprocess, "run", lambda *_, **__: done)
        (found,) = measure([path], rounds=1)
        return found

    return run


def test_what_the_process_measured(printed: Any) -> None:
    found = printed(f"INFO: a delegate\n{json.dumps(MEASURED)}\n")
    assert (found.load_ms, found.median_ms, found.peak_memory_bytes) == (2.0, 2.0, 5)


def test_what_it_prints_as_it_ends_is_no_matter(printed: Any) -> None:
    assert printed(f"{json.dumps(MEASURED)}\n3\nnull\nbye\n").median_ms == 2.0


@pytest.mark.parametrize("text", ["", "\n", "bye", "3", "{}", "[]", '{"load_ms": 1}'])
def test_a_process_that_measured_nothing_is_one_line(printed: Any, text: str) -> None:
    with pytest.raises(ModelError, match=r"expected the measuring process to print load_ms"):
        printed(text)


def test_a_slow_call_is_repeated_less_often() -> None:
    calls: list[int] = []
    (found,) = median_latencies([lambda: calls.append(1)], runs=4)
    assert len(calls) == 7  # three to warm up
    assert found < 100
