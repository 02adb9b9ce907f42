"""How fast files run on this machine: several at once, taking turns, so that noise hits all."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError

__all__ = ["Latency", "measure", "median_latencies"]

_SLOW_MS = 2000
_TIMEOUT_S = 600
_MEASURED = ("load_ms", "laps_ms", "peak_memory_bytes")  # what `_measure_here` returns


@dataclass(frozen=True)
class Latency:
    """What one file costs.

    Args:
        path: the file.
        bytes: its size.
        threads: of the interpreter.
        load_ms: reading it and allocating tensors, median of the rounds.
        median_ms: of one image.
        p95_ms: 95th percentile of one image; NaN where a phone's program does not tell.
        peak_memory_bytes: of a process that does nothing else, Python and the runtime included; on
            a phone what the model adds, None where its program does not tell.
    """

    path: str
    bytes: int
    threads: int
    load_ms: float
    median_ms: float
    p95_ms: float
    peak_memory_bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the document of `tfxfer benchmark`."""
        values = asdict(self)
        median, p95 = values.pop("median_ms"), values.pop("p95_ms")
        told = None if math.isnan(p95) else p95
        return {**values, "latency_ms": {"median": median, "p95": told}}


def measure(
    paths: Sequence[str | Path], *, threads: int = 1, runs: int = 50, rounds: int = 4
) -> list[Latency]:
    """Measures each file in processes of its own, taking turns.

    Args:
        paths: `.tflite` files.
        threads: of each interpreter.
        runs: images a round, after five that do not count.
        rounds: processes per file.

    Raises:
        ModelError: a file that does not run.
    """
    results: dict[str, list[dict[str, Any]]] = {str(path): [] for path in paths}
    for _ in range(rounds):
        for path, found in results.items():
            found.append(_run_once(path, threads=threads, runs=runs))
    return [
        Latency(
            path=path,
            bytes=Path(path).stat().st_size,
            threads=threads,
            load_ms=float(np.median([item["load_ms"] for item in found])),
            median_ms=float(np.median(np.concatenate([item["laps_ms"] for item in found]))),
            p95_ms=float(np.percentile(np.concatenate([item["laps_ms"] for item in found]), 95)),
            peak_memory_bytes=max(item["peak_memory_bytes"] for item in found),
        )
        for path, found in results.items()
    ]


def _run_once(path: str, *, threads: int, runs: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "tfxfer_edge.timing.latency",
        path,
        str(threads),
        str(runs),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"model {path!r}: expected {runs} images within {_TIMEOUT_S} s. Received: none. "
            "Ask for fewer --runs."
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ModelError(f"model {path!r}: expected a .tflite file that runs. Received: {last}")
    for line in reversed(done.stdout.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue  # the runtime may print as it ends, after what we look for
        if isinstance(found, dict) and set(found) == set(_MEASURED):
            return found
    raise ModelError(
        f"model {path!r}: expected the measuring process to print {', '.join(_MEASURED)}. "
        f"Received: {done.stdout.strip()[-200:]!r}."
    )


def _measure_here(path: str, threads: int, runs: int) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    started = time.perf_counter()
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    load_ms = (time.perf_counter() - started) * 1e3
    for detail in interpreter.get_input_details():
        shape, dtype = detail["shape"], np.dtype(detail["dtype"])
        noise = np.random.default_rng(0).uniform(0, 127, shape)
        interpreter.set_tensor(detail["index"], noise.astype(dtype))
    laps = []
    for number in range(runs + 5):
        started = time.perf_counter()
        interpreter.invoke()
        if number >= 5:
            laps.append((time.perf_counter() - started) * 1e3)
    return {"load_ms": load_ms, "laps_ms": laps, "peak_memory_bytes": _peak_memory_bytes()}


def _peak_memory_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: under Linux its peak is inherited from the process that started this one.
        return int(status.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) * 1024
    import psutil

    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))  # Windows knows the peak, macOS what is now


def median_latencies(calls: Sequence[Callable[[], object]], *, runs: int = 30) -> list[float]:
    """Returns the median milliseconds of some calls, which take turns.

    Quicker than `measure`, in this process: for a table of candidates.

    Args:
        calls: each runs one image.
        runs: of each; fewer, but at least five, of one that is slow.
    """
    laps: list[list[float]] = [[] for _ in calls]
    for number in range(runs + 3):
        for call, found in zip(calls, laps, strict=True):
            if len(found) >= 5 and sum(found) > _SLOW_MS:
                continue
            started = time.perf_counter()
            call()
            if number >= 3:
                found.append((time.perf_counter() - started) * 1e3)
    return [float(np.median(found)) for found in laps]


if __name__ == "__main__":
    print(json.dumps(_measure_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
