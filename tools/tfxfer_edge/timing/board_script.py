"""What runs on a board: one file, timed there, with nothing of this project installed.

It is copied as it is. Any Python 3.7 with numpy and a runtime does: `ai-edge-litert`,
`tflite-runtime` or TensorFlow for a `.tflite` file, `onnxruntime` for an `.onnx` file.

    python3 board_script.py FILE SAMPLES.npz THREADS RUNS LIMIT_S

It prints one line of JSON: what it measured, or under `missing` or `error` why it did not.
"""

from __future__ import annotations

import importlib
import json
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Any

_WARMUPS = 5
_RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
    ("tensorflow.lite", "tensorflow"),
)
_KINDS = {"double": "float64", "float": "float32"}


class MissingError(Exception):
    """A package is not there."""


def find_interpreter() -> Any:
    """Returns the name of what runs `.tflite` files here, and its `Interpreter`."""
    for module, name in _RUNTIMES:
        try:
            return name, importlib.import_module(module).Interpreter
        except ImportError:
            continue
    raise MissingError("ai-edge-litert")


def open_tflite(path: str, threads: int, np: Any) -> Any:
    """Returns what feeds a `.tflite` file, what runs it, its inputs, and the runtime's name."""
    name, interpreter_class = find_interpreter()
    interpreter = interpreter_class(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    ends = {x["name"]: x for x in interpreter.get_input_details()}

    def feed(values: Any) -> None:
        for key, sample in values.items():
            interpreter.set_tensor(ends[key]["index"], sample)

    shapes = {key: (tuple(x["shape"]), np.dtype(x["dtype"])) for key, x in ends.items()}
    return feed, interpreter.invoke, shapes, name


def open_onnx(path: str, threads: int, np: Any) -> Any:
    """Returns the same of an `.onnx` file."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError:
        raise MissingError("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    held: dict[str, Any] = {}
    shapes = {}
    for item in session.get_inputs():
        kind = item.type[len("tensor(") : -1]
        shape = tuple(size if isinstance(size, int) else 1 for size in item.shape)
        shapes[item.name] = (shape, np.dtype(_KINDS.get(kind, kind)))
    return held.update, lambda: session.run(None, held), shapes, "onnxruntime"


def measure(path: str, samples: str, threads: int, runs: int) -> Any:
    """Returns what was measured."""
    try:
        np = importlib.import_module("numpy")
    except ImportError:
        raise MissingError("numpy") from None
    started = time.perf_counter()
    open_file = open_onnx if path.endswith(".onnx") else open_tflite
    feed, run, shapes, runtime = open_file(path, threads, np)
    load_ms = (time.perf_counter() - started) * 1e3
    given = np.load(samples)
    stored = {name: given[str(at)] for at, name in enumerate(given["names"].tolist())}
    rng = np.random.RandomState(0)
    others = {}
    for name, (shape, dtype) in shapes.items():
        if name not in stored:
            others[name] = make_noise(shape, dtype, rng, np)
    feed(others)
    laps = []
    for number in range(runs + _WARMUPS):
        values = {}
        for name, each in stored.items():
            sample = each[number % len(each)][None]
            values[name] = np.repeat(sample, shapes[name][0][0], axis=0)
        feed(values)
        started = time.perf_counter()
        run()
        if number >= _WARMUPS:
            laps.append((time.perf_counter() - started) * 1e3)
    return {
        "load_ms": load_ms,
        "laps_ms": laps,
        "peak_memory_bytes": read_peak_memory(),
        "machine": platform.machine(),
        "runtime": runtime,
    }


def make_noise(shape: Any, dtype: Any, rng: Any, np: Any) -> Any:
    """Returns random numbers: floats -1 to 1, small integers over all they may be."""
    if dtype.kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    if dtype.kind not in "iu" or dtype.itemsize > 2:
        # Whole numbers may be those of tokens: 0 and 1 are in every table.
        return rng.randint(0, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.randint(limits.min, limits.max + 1, shape).astype(dtype)


def read_peak_memory() -> Any:
    """Returns the most memory that this process has held, in bytes; None where nobody tells."""
    try:
        with Path("/proc/self/status").open() as status:
            found = [line.split() for line in status if line.startswith("VmHWM:")]
    except OSError:
        return None
    return int(found[0][1]) * 1024 if found else None


def main() -> None:
    """Measures one file and prints what came of it."""
    path, samples, threads, runs, limit_s = sys.argv[1:6]
    # Whoever asked may be gone by then: nothing stays behind that computes for ever.
    signal.alarm(int(limit_s))
    try:
        document = measure(path, samples, int(threads), int(runs))
    except MissingError as missing:
        document = {"missing": str(missing)}
    except Exception as error:  # noqa: BLE001 - told to whoever asked, and nobody else is here
        lines = str(error).strip().splitlines() or [type(error).__name__]
        document = {"error": lines[0]}
    print("\n" + json.dumps(document))


if __name__ == "__main__":
    main()
