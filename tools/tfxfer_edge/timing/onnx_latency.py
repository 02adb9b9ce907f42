"""How fast an `.onnx` file runs, measured in a process that does nothing else.

`latency` starts it as it does its own, and reads the same answer.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer_edge.timing.latency import (
    WARMUPS,
    load_samples,
    make_noise,
    read_peak_memory_bytes,
)

__all__ = ["measure_here"]

_KINDS = {"double": "float64", "float": "float32"}


def measure_here(path: str, threads: int, runs: int, samples: str | None = None) -> dict[str, Any]:
    """Returns what one process measures of a file.

    Args:
        path: the file.
        threads: of onnxruntime's kernels.
        runs: samples that count.
        samples: folder of what `store_samples` wrote; None feeds noise.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    load_ms = (time.perf_counter() - started) * 1e3
    rng = np.random.default_rng(0)
    feeds = {item.name: make_noise(_describe(item), rng) for item in session.get_inputs()}
    stored = {} if samples is None else load_samples(Path(samples))
    batches = {name: len(feeds[name]) for name in stored}
    laps = []
    for number in range(runs + WARMUPS):
        for name, values in stored.items():
            sample = values[number % len(values)][None]
            feeds[name] = np.repeat(sample, batches[name], axis=0)
        started = time.perf_counter()
        session.run(None, feeds)
        if number >= WARMUPS:
            laps.append((time.perf_counter() - started) * 1e3)
    return {"load_ms": load_ms, "laps_ms": laps, "peak_memory_bytes": read_peak_memory_bytes()}


def _describe(item: Any) -> dict[str, Any]:
    """Returns the type and the shape of an input, 1 where a size is free."""
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else 1 for size in item.shape]
    return {"dtype": _KINDS.get(kind, kind), "shape": shape}


if __name__ == "__main__":
    print(json.dumps(measure_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
