"""How fast files run on a phone that adb sees, measured by LiteRT's own `benchmark_model`."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfxfer.errors import DeviceError, ModelError
from tfxfer.progress import Progress
from tfxfer.system.cleaning import clean_up
from tfxfer_edge.timing.accelerator import read_delegated, write_option
from tfxfer_edge.timing.benchmark_model import (
    BENCHMARK_MODEL,
    TOOL_WORDS,
    check_program,
    write_call,
)
from tfxfer_edge.timing.latency import Latency

__all__ = [
    "BENCHMARK_MODEL",
    "InputValues",
    "Phone",
    "find_phone",
    "measure_on_phone",
    "read_report",
    "summarize",
    "write_values",
]

_TIMEOUT_S = 300
_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"


@dataclass(frozen=True)
class InputValues:
    """What one input may hold where somebody else fills it.

    Args:
        name: of the tensor.
        shape: with the batch.
        low: the lowest value.
        high: the highest.
    """

    name: str
    shape: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True)
class Phone:
    """One phone.

    Args:
        serial: what adb calls it.
        model: what its maker calls it.
        call: runs adb with these arguments on it and returns what it prints.
    """

    serial: str
    model: str
    call: Callable[..., str]


def find_phone() -> Phone:
    """Returns the phone that adb sees; `ANDROID_SERIAL` chooses among several.

    Raises:
        DeviceError: no adb, no phone, several, or one that has not allowed this machine yet.
    """
    program = shutil.which("adb")
    if program is None:
        raise DeviceError(
            "device 'adb': expected adb, of Android's platform tools, on the PATH. "
            "Received: no adb here. Install it, or use --device host."
        )
    listed = _run([program, "devices", "-l"]).partition("List of devices attached")[2]
    rows = [line.split() for line in listed.splitlines()]
    states = {row[0]: row[1] for row in rows if len(row) > 1}
    wanted = os.environ.get("ANDROID_SERIAL") or None
    if wanted is not None:
        states = {name: state for name, state in states.items() if name == wanted}
    if len(states) != 1:
        found = ", ".join(states) or f"none{f' named {wanted}' if wanted else ''}"
        remedy = "Choose one: ANDROID_SERIAL=NAME." if states else "Connect one, or --device host."
        raise DeviceError(f"device 'adb': expected one phone. Received: {found}. {remedy}")
    ((serial, state),) = states.items()
    if state != "device":
        raise DeviceError(
            f"device 'adb': expected phone {serial!r} to be ready. Received: {state}. "
            "Unlock it, turn on USB debugging and allow this computer."
        )

    def call(*args: str) -> str:
        return _run([program, "-s", serial, *args])

    return Phone(serial, call("shell", "getprop", "ro.product.model").strip() or serial, call)


def measure_on_phone(
    paths: Sequence[str | Path],
    *,
    phone: Phone,
    threads: int = 1,
    runs: int = 50,
    rounds: int = 4,
    program: str | Path | None = None,
    values: Mapping[str, Sequence[InputValues]] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    accelerator: str = "cpu",
) -> list[Latency]:
    """Measures each file on a phone, taking turns; what was copied there is removed.

    Args:
        paths: `.tflite` files.
        phone: from `find_phone`.
        threads: of the interpreter.
        runs: images a round, after five that do not count.
        rounds: calls of `benchmark_model` per file.
        program: `benchmark_model` for that phone, to be copied; None expects it there.
        values: by path, of files that do not run on whatever that program makes up.
        progress: told of calls of `benchmark_model`.
        tell: gets a remark where what was copied there could not be removed.
        accelerator: of `ACCELERATORS`; what it does not take the CPU computes.

    Returns:
        One measurement a file. An older program prints means only: the median is then that of the
        rounds' means, and the 95th percentile NaN. Memory is what the model adds.

    Raises:
        DeviceError: no `benchmark_model`, or adb fails.
        ModelError: a file that does not run there.
    """
    folder = f"/data/local/tmp/tfxfer-{uuid.uuid4().hex[:8]}"
    phone.call("shell", "mkdir", "-p", folder)

    def remove() -> None:
        phone.call("shell", "rm", "-rf", folder)

    def note(words: str) -> None:
        if tell is not None:
            tell(f"left on {phone.model}: {folder}: {words}")

    with clean_up(remove, tell=note):
        tool = BENCHMARK_MODEL
        if program is not None:
            check_program(program)
            tool = f"{folder}/benchmark_model"
            phone.call("push", str(program), tool)
            phone.call("shell", "chmod", "755", tool)
        elif phone.call("shell", f"test -f {tool} && echo here || echo gone").strip() != "here":
            raise DeviceError(
                f"phone {phone.model!r}: expected {tool}. Received: nothing there. {TOOL_WORDS}"
            )
        places = {str(path): f"{folder}/{number}.tflite" for number, path in enumerate(paths)}
        for path, place in places.items():
            phone.call("push", path, place)
        reports: dict[str, list[dict[str, float]]] = {path: [] for path in places}
        delegated: dict[str, str | None] = {}
        for number in range(rounds):
            for at, (path, place) in enumerate(places.items()):
                if progress is not None:
                    total = rounds * len(places)
                    progress(f"timing {len(places)} files", number * len(places) + at, total)
                # Its log goes to stderr; the exit code would be lost in older shells.
                printed = phone.call(
                    "shell",
                    f"{write_call(tool, place, threads=threads, runs=runs)} "
                    f"{write_option(accelerator)}"
                    f"{write_values((values or {}).get(path, ()))}"
                    "2>&1 || true",
                )
                reports[path].append(read_report(printed, path=path))
                delegated[path] = read_delegated(printed, accelerator)
    return [
        replace(summarize(path, threads, found), delegated=delegated[path])
        for path, found in reports.items()
    ]


def write_values(values: Sequence[InputValues]) -> str:
    """Returns the options of `benchmark_model` that say what inputs hold, ended by a space.

    Example:
        >>> write_values([InputValues("mask", (1, 8), 1, 1)])
        '--input_layer=mask --input_layer_shape=1,8 --input_layer_value_range=mask,1,1 '
    """
    if not values:
        return ""
    names = ",".join(item.name for item in values)
    shapes = ":".join(",".join(map(str, item.shape)) for item in values)
    ranges = ":".join(f"{item.name},{item.low},{item.high}" for item in values)
    options = {
        "input_layer": names,
        "input_layer_shape": shapes,
        "input_layer_value_range": ranges,
    }
    return "".join(f"--{key}={shlex.quote(value)} " for key, value in options.items())


def read_report(printed: str, *, path: str, where: str = "the phone") -> dict[str, float]:
    """Returns what one call of `benchmark_model` printed, in milliseconds and bytes.

    Args:
        printed: its log.
        path: the file that was measured, for messages.
        where: it ran, for messages.

    Raises:
        ModelError: there are no timings in it.
    """
    counts = [
        dict(re.findall(rf"(\w+)=({_NUMBER})", line))
        for line in printed.splitlines()
        if re.search(r"\bcount=\d+ ", line)
    ]
    timed = counts[-1] if counts else {}  # the first is the warm-up
    middle = next((timed[key] for key in ("median", "avg", "curr") if key in timed), None)
    load = re.search(r"\bInit: (\d+)", printed)
    if middle is None or load is None:
        last = (printed.strip() or "nothing").splitlines()[-1]
        raise ModelError(f"model {path!r}: expected it to run on {where}. Received: {last}")
    memory = re.search(
        rf"Overall peak memory footprint \(MB\)[^\n]*: ({_NUMBER})", printed
    ) or re.search(rf"footprint[^\n]*\(MB\)[^\n]*overall=({_NUMBER})", printed)
    nan = float("nan")
    return {
        "load_ms": int(load[1]) / 1e3,
        "median_ms": float(middle) / 1e3,
        "p95_ms": float(timed["p95"]) / 1e3 if "p95" in timed else nan,
        "memory_bytes": float(memory[1]) * 2**20 if memory else nan,
    }


def summarize(path: str, threads: int, reports: Sequence[Mapping[str, float]]) -> Latency:
    """Returns what several calls of `benchmark_model` came to, as `read_report` has them."""

    def median(key: str) -> float:
        return float(np.median([report[key] for report in reports]))

    memory = [report["memory_bytes"] for report in reports]
    return Latency(
        path=path,
        bytes=Path(path).stat().st_size,
        threads=threads,
        load_ms=median("load_ms"),
        median_ms=median("median_ms"),
        p95_ms=median("p95_ms"),
        peak_memory_bytes=None if np.isnan(memory).any() else int(max(memory)),
    )


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - adb, found on the PATH
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"adb: expected an answer within {_TIMEOUT_S} s. Received: none. "
            "Connect the phone again, or ask for fewer --runs."
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise DeviceError(f"adb: expected it to do {' '.join(command[1:])!r}. Received: {last}")
    return done.stdout
