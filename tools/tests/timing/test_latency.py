from __future__ import annotations

import json
import subprocess
from typing import Any

import numpy as np
import pytest

from tfxfer.errors import ModelError
from tfxfer_edge.timing import latency
from tfxfer_edge.timing.latency import measure, store_samples, take_turns

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


def test_files_take_turns_and_get_one_image_after_the_other() -> None:
    fed: list[tuple[str, int]] = []
    told: list[tuple[str, int, int]] = []

    def open_turn(name: str) -> Any:
        def turn(number: int) -> Any:
            fed.append((name, number))
            return lambda: None

        return turn

    laps = take_turns([open_turn("a"), open_turn("b")], runs=4, progress=lambda *x: told.append(x))
    assert [len(found) for found in laps] == [4, 4]  # three to warm up
    assert fed == [(name, number) for number in range(7) for name in "ab"]
    assert told[-1] == ("timing 2 files", 7, 7)


def test_a_slow_file_is_repeated_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(latency.time, "perf_counter", lambda: float(next(clock)))  # 1 s a call
    (found,) = take_turns([lambda number: lambda: None], runs=30)
    assert found == (1000.0,) * 5


@pytest.mark.parametrize("batch", [1, 4])
def test_what_is_fed_is_what_the_file_computes(batch: int, tmp_path: Any) -> None:
    """The process that measures runs the images that it was given, one after the other."""
    images = np.stack([np.full((2, 2), number, np.uint8) for number in range(3)])
    store_samples(tmp_path, {"image": images})
    seen: list[int] = []

    class Interpreter:
        def __init__(self, **_: Any) -> None:
            self.held = np.zeros(())

        def allocate_tensors(self) -> None:
            pass

        def get_input_details(self) -> list[dict[str, Any]]:
            return [{"name": "image", "index": 0, "shape": (batch, 2, 2), "dtype": np.uint8}]

        def set_tensor(self, index: int, values: np.ndarray) -> None:
            assert values.shape == (batch, 2, 2)
            self.held = values

        def invoke(self) -> None:
            (value,) = set(self.held.ravel().tolist())
            seen.append(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ai_edge_litert.interpreter.Interpreter", Interpreter)
        latency._measure_here("model.tflite", 1, 4, str(tmp_path))
    assert seen == [number % 3 for number in range(9)]


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint8", 0, 255), ("int8", -128, 127), ("float32", -1, 1), ("int32", 0, 1)],
)
def test_noise_is_all_over_what_an_input_may_hold(dtype: str, low: int, high: int) -> None:
    detail = {"dtype": np.dtype(dtype).type, "shape": np.array([1, 64, 64, 3])}
    noise = latency.make_noise(detail, np.random.default_rng(0))
    assert (noise.dtype.name, noise.shape) == (dtype, (1, 64, 64, 3))
    room = 0.02 * (high - low)
    assert low <= noise.min() <= low + room
    assert high - room <= noise.max() <= high
    assert latency.NOISE == "random numbers (seed 0): floats -1 to 1, integers over all they may be"
