"""A `.tflite` file in TensorFlow Lite for Microcontrollers, in a process of its own.

That interpreter answers what it cannot do with a signal as often as with an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from tfxfer.system.process import ask_child
from tfxfer.system.scratch import scratch_folder

__all__ = ["PACKAGE", "MicroRun", "find_version", "run_micro"]

PACKAGE = "tflite-micro"
_MOST_ARENA_BYTES = 64 << 20  # more than any microcontroller has
_TIMEOUT_S = 300  # its kernels are plain C: some seconds a sample for a phone's network
_CODE = """
import os, re, tempfile
import numpy as np

question = read_question()
noise = tempfile.TemporaryFile()
os.dup2(noise.fileno(), 2)  # where C++ says what is wrong

def tell():
    noise.seek(0)
    return noise.read().decode("utf-8", "replace")

from tflite_micro import runtime

with open(question["model"], "rb") as file:
    content = file.read()
inputs = np.load(question["inputs"])
try:
    tool = runtime.Interpreter.from_bytes(content, arena_size=question["arena_bytes"])
    found = []
    for sample in inputs:
        tool.set_input(sample[None], 0)
        tool.invoke()
        found.append(np.array(tool.get_output(0)))
    tool.print_allocations()
except (RuntimeError, ValueError) as error:
    answer({"failed": str(error), "told": tell()})
else:
    np.save(question["outputs"], np.concatenate(found))
    answer({"failed": None, "told": tell()})
"""
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_OPERATOR = re.compile(r"Node (\w+) \(number (\d+)")
_UNKNOWN = re.compile(r"find op for builtin opcode '(\w+)'")
_TOO_SMALL = re.compile(r"[Ff]ailed to (?:resize buffer|allocate)|[Aa]rena.*too small")


@dataclass(frozen=True, eq=False)
class MicroRun:
    """What came of a file in that interpreter.

    Args:
        version: of the package.
        reason: why it did not run, with the operator where that is known; None where it did.
        arena_bytes: the least memory for tensors with which it runs; None where it did not.
        outputs: what it answered, as the output tensor holds it; None where it did not.

    Shapes: outputs (samples, …).

    Units: bytes, on this machine, whose pointers have 64 bits: on a 32-bit controller its own
        records take less, while kernels of the chip's maker may ask for more.
    """

    version: str
    reason: str | None = None
    arena_bytes: int | None = None
    outputs: np.ndarray | None = None


def find_version() -> str | None:
    """Returns which version of the package is installed; None where none is."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


def run_micro(content: bytes, inputs: np.ndarray) -> MicroRun:
    """Returns what a file of one input and one output answers there, and what memory it takes.

    Args:
        content: the file.
        inputs: samples as its input holds them, one at a time.

    Shapes: inputs (samples, …) without the batch.
    """
    installed = find_version() or "unknown"
    with scratch_folder("micro") as folder:
        (folder / "model.tflite").write_bytes(content)
        np.save(folder / "inputs.npy", inputs)
        question = {
            "model": str(folder / "model.tflite"),
            "inputs": str(folder / "inputs.npy"),
            "outputs": str(folder / "outputs.npy"),
            "arena_bytes": _MOST_ARENA_BYTES,
        }
        outcome = ask_child(_CODE, question, timeout_s=_TIMEOUT_S)
        if not outcome.answers:
            return MicroRun(installed, reason=f"its interpreter {outcome.end}")
        (found,) = outcome.answers
        if found["failed"] is not None:
            return MicroRun(installed, reason=_explain(found["failed"], found["told"]))
        total = _TOTAL.search(found["told"])
        if total is None:
            return MicroRun(installed, reason="its interpreter does not say what memory it took")
        outputs = np.load(folder / "outputs.npy")
    return MicroRun(installed, None, int(total[1]), outputs)


def _explain(error: str, told: str) -> str:
    """Returns why a file does not run, in one line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    unknown, failed = _UNKNOWN.search(told), _OPERATOR.search(told)
    if unknown:
        return f"operator {unknown[1]} is none that it has"
    if failed:
        at = next(number for number, line in enumerate(lines) if _OPERATOR.search(line))
        cause = f": {lines[at - 1]}" if at else ""
        return f"operator {failed[1]} (number {failed[2]}) does not run there{cause}"
    if _TOO_SMALL.search(told):
        return f"it takes more than {_MOST_ARENA_BYTES >> 20} MiB for its tensors"
    return f"{error}{f': {lines[-1]}' if lines else ''}"
