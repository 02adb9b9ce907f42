"""How fast files run on this machine: several at once, taking turns, so that noise hits all."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import ModelError
from tfxfer.progress import Progress
from tfxfer.system.scratch import scratch_folder

__all__ = [
    "NOISE",
    "WARMUPS",
    "Latency",
    "Turn",
    "load_samples",
    "make_noise",
    "measure",
    "read_peak_memory_bytes",
    "store_samples",
    "take_turns",
]

Turn = Callable[[int], Callable[[], object]]
"""Feeds the sample of a lap, by the lap's number, and returns what runs it."""

NOISE = "random numbers (seed 0): floats -1 to 1, integers over all they may be"
"""What a file is timed on of whose inputs nothing is known."""

WARMUPS = 5
"""Samples that do not count, of each process."""

_FIRST_LAPS = 3  # of each file, which do not count
_SLOW_MS = 2000
_TIMEOUT_S = 600
_MODULES = {".onnx": "tfxfer_edge.timing.onnx_latency"}  # by suffix; this one for all others
_MEASURED = ("load_ms", "laps_ms", "peak_memory_bytes")  # what `_measure_here` returns


@dataclass(frozen=True)
class Latency:
    """What one file costs.

    Args:
        path: the file.
        bytes: its size.
        threads: of the interpreter.
        load_ms: reading it and allocating tensors, median of the rounds.
        median_ms: of one sample.
        p95_ms: 95th percentile of one sample; NaN where a phone's program does not tell.
        peak_memory_bytes: of a process that does nothing else, Python and the runtime included; on
            a phone what the model adds, None where its program does not tell.
        delegated: what of the graph an accelerator took, see `accelerator`; None on a CPU.
        deciles_ms: of one sample, the nine from 10 to 90 %; none where only means are known.
    """

    path: str
    bytes: int
    threads: int
    load_ms: float
    median_ms: float
    p95_ms: float
    peak_memory_bytes: int | None
    delegated: str | None = None
    deciles_ms: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the document of `tfxfer benchmark`."""
        values = asdict(self)
        median, p95 = values.pop("median_ms"), values.pop("p95_ms")
        deciles = list(values.pop("deciles_ms"))
        told = None if math.isnan(p95) else p95
        further = {"deciles": deciles} if deciles else {}
        return {**values, "latency_ms": {"median": median, "p95": told, **further}}


def measure(
    paths: Sequence[str | Path],
    *,
    threads: int = 1,
    runs: int = 50,
    rounds: int = 4,
    inputs: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    progress: Progress | None = None,
) -> list[Latency]:
    """Measures each file in processes of its own, taking turns.

    Args:
        paths: `.tflite` or `.onnx` files.
        threads: of each interpreter.
        runs: samples a round, after five that do not count.
        rounds: processes per file.
        inputs: what a file is fed with, by path: samples as its tensors hold them, by the tensors'
            names, one after the other. Other files get `NOISE`.
        progress: told of processes that have ended.

    Raises:
        ModelError: a file that does not run.
    """
    results: dict[str, list[dict[str, Any]]] = {str(path): [] for path in paths}
    with scratch_folder("benchmark") as scratch:
        stored = {}
        for number, (path, samples) in enumerate((inputs or {}).items()):
            stored[path] = scratch / str(number)
            stored[path].mkdir()
            store_samples(stored[path], samples)
        for number in range(rounds):
            for at, (path, found) in enumerate(results.items()):
                found.append(_run_once(path, threads=threads, runs=runs, samples=stored.get(path)))
                if progress is not None:
                    done = number * len(results) + at + 1
                    progress(f"timing {len(results)} files", done, rounds * len(results))
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


def store_samples(folder: Path, samples: Mapping[str, np.ndarray]) -> None:
    """Writes what each input of a file is fed with where the measuring process reads it.

    A tensor's name may be no file's: each has a file of its own beside its numbers.
    """
    for number, (name, values) in enumerate(samples.items()):
        np.save(folder / f"{number}.npy", values)
        (folder / f"{number}.txt").write_text(name, encoding="utf-8")


def load_samples(folder: Path) -> dict[str, np.ndarray]:
    """Returns what `store_samples` wrote, by the tensors' names; read as it is used."""
    return {
        file.with_suffix(".txt").read_text(encoding="utf-8"): np.load(file, mmap_mode="r")
        for file in sorted(folder.glob("*.npy"))
    }


def _run_once(path: str, *, threads: int, runs: int, samples: Path | None) -> dict[str, Any]:
    suffix = Path(path).suffix.lower()
    command = [
        sys.executable,
        "-P",
        "-m",
        _MODULES.get(suffix, "tfxfer_edge.timing.latency"),
        path,
        str(threads),
        str(runs),
        *([] if samples is None else [str(samples)]),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"model {path!r}: expected {runs} runs within {_TIMEOUT_S} s. Received: none. "
            "Ask for fewer --runs."
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ModelError(f"model {path!r}: expected a {suffix} file that runs. Received: {last}")
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


def _measure_here(path: str, threads: int, runs: int, samples: str | None = None) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    started = time.perf_counter()
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    load_ms = (time.perf_counter() - started) * 1e3
    rng = np.random.default_rng(0)
    sources = interpreter.get_input_details()
    for detail in sources:
        interpreter.set_tensor(detail["index"], make_noise(detail, rng))
    stored = [] if samples is None else _load(Path(samples), sources)
    laps = []
    for number in range(runs + WARMUPS):
        for index, values, batch in stored:
            sample = values[number % len(values)][None]
            interpreter.set_tensor(index, np.repeat(sample, batch, axis=0))
        started = time.perf_counter()
        interpreter.invoke()
        if number >= WARMUPS:
            laps.append((time.perf_counter() - started) * 1e3)
    return {"load_ms": load_ms, "laps_ms": laps, "peak_memory_bytes": read_peak_memory_bytes()}


def make_noise(detail: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Returns what `NOISE` says for one input, of which the runtime tells nothing but its type."""
    dtype, shape = np.dtype(detail["dtype"]), detail["shape"]
    if dtype.kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        # Whole numbers may be those of tokens: 0 and 1 are in every table.
        return rng.integers(0, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def _load(folder: Path, sources: Sequence[Any]) -> list[tuple[int, np.ndarray, int]]:
    """Returns the place of each input's tensor, samples for it, and how many it takes at once."""
    places = {detail["name"]: (detail["index"], int(detail["shape"][0])) for detail in sources}
    return [
        (places[name][0], values, places[name][1]) for name, values in load_samples(folder).items()
    ]


def read_peak_memory_bytes() -> int:
    """Returns the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: under Linux its peak is inherited from the process that started this one.
        return int(status.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) * 1024
    import psutil

    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))  # Windows knows the peak, macOS what is now


def take_turns(
    turns: Sequence[Turn], *, runs: int = 30, progress: Progress | None = None
) -> list[tuple[float, ...]]:
    """Returns the milliseconds of some files, lap by lap: lap k of all was taken side by side.

    Quicker than `measure`, in this process: for a table of candidates.

    Args:
        turns: each feeds a sample, and then runs it.
        runs: laps of each; fewer, but at least five, of one that is slow.
        progress: told of laps.
    """
    laps: list[list[float]] = [[] for _ in turns]
    for number in range(runs + _FIRST_LAPS):
        for turn, found in zip(turns, laps, strict=True):
            if len(found) >= 5 and sum(found) > _SLOW_MS:
                continue
            run = turn(number)
            started = time.perf_counter()
            run()
            if number >= _FIRST_LAPS:
                found.append((time.perf_counter() - started) * 1e3)
        if progress is not None:
            progress(f"timing {len(turns)} files", number + 1, runs + _FIRST_LAPS)
    return [tuple(found) for found in laps]


if __name__ == "__main__":
    print(json.dumps(_measure_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
