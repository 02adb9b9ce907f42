"""How fast files run on a Linux board that ssh reaches: nothing has to be installed but a runtime.

Everything goes through `ssh` itself, files too, so that its own configuration says how a host is
reached. It never asks: a board that wants a password is told as such.
"""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfxfer.errors import DeviceError, ModelError
from tfxfer.progress import Progress
from tfxfer.system.cleaning import clean_up
from tfxfer_edge.timing import board_script
from tfxfer_edge.timing.adb import InputValues, read_report, summarize, write_values
from tfxfer_edge.timing.benchmark_model import write_call
from tfxfer_edge.timing.latency import Latency

__all__ = ["Board", "find_board", "measure_on_board"]

_CONNECT_S, _SHORT_S, _COPY_S, _RUN_S = 10, 30, 300, 600
_SSH_FAILED = 255  # what ssh ends with where it is itself at fault
_MEASURED = {"load_ms", "laps_ms", "peak_memory_bytes", "machine", "runtime"}


@dataclass(frozen=True)
class Board:
    """A machine that ssh reaches.

    Args:
        host: as ssh takes it.
        machine: its processor's architecture, such as `aarch64`.
        python: what runs the measuring script there.
        call: runs a command of its shell, within a number of seconds and with the bytes of an
            input, and returns how that ended.
    """

    host: str
    machine: str
    python: str
    call: Callable[..., subprocess.CompletedProcess[bytes]]


def find_board(host: str, *, python: str | None = "python3") -> Board:
    """Returns a board that can be reached and has a Python.

    Args:
        host: a name of ssh's configuration, or `USER@ADDRESS`.
        python: its Python, a word or a path on the board; None where it needs none.

    Raises:
        DeviceError: no such host, no ssh, one that wants a password, or no Python there.
    """
    # A host that begins with a dash would be an option of ssh, and such may run programs here.
    if not host or host.startswith("-") or not host.isprintable() or " " in host:
        raise DeviceError(
            "device 'ssh:HOST': expected a host as ssh takes it, such as ssh:pi@raspberrypi. "
            f"Received: {host!r}."
        )
    program = shutil.which("ssh")
    if program is None:
        raise DeviceError(
            f"device 'ssh:{host}': expected ssh on the PATH. Received: no ssh here. Install "
            "OpenSSH's client, or use --device host."
        )
    options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}"]

    def call(
        command: str, *, limit_s: int = _SHORT_S, content: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        return _run([program, *options, "--", host, command], host, limit_s, content)

    machine = _ask(host, call("uname -m"), "tell its processor (uname -m)").split()[-1:]
    if python is not None and call(f"command -v {shlex.quote(python)}").returncode != 0:
        raise DeviceError(
            f"device 'ssh:{host}': expected {python} there. Received: none. Install Python on the "
            "board, or name another one: --remote-python PATH"
        )
    return Board(host, machine[0] if machine else "unknown", python or "python3", call)


def measure_on_board(
    paths: Sequence[str | Path],
    *,
    board: Board,
    threads: int = 1,
    runs: int = 50,
    rounds: int = 4,
    program: str | Path | None = None,
    inputs: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    values: Mapping[str, Sequence[InputValues]] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Latency]:
    """Measures each file on a board, taking turns; what was copied there is removed.

    Args:
        paths: `.tflite` or `.onnx` files.
        board: from `find_board`.
        threads: of each runtime.
        runs: samples a round, after five that do not count.
        rounds: processes per file.
        program: `benchmark_model` for that board, which then measures in place of Python.
        inputs: what a file is fed with, by path, as of `latency.measure`; not that program.
        values: by path, what that program must feed; see `adb.measure_on_phone`.
        progress: told of processes that have ended.
        tell: gets what the board runs them with, and a remark where what was copied there could
            not be removed.

    Raises:
        DeviceError: the board is not reached any more, or lacks a runtime.
        ModelError: a file that does not run there.
    """
    folder = f"/tmp/tfxfer-{uuid.uuid4().hex[:12]}"  # noqa: S108 - on the board; 700 below
    say = tell or (lambda words: None)

    def remove() -> None:
        _ask(board.host, board.call(f"rm -rf {folder}"), "remove what was copied")

    files = [str(path) for path in paths]
    with clean_up(remove, tell=lambda words: say(f"left on {board.host}: {folder}: {words}")):
        _ask(board.host, board.call(f"mkdir -m 700 {folder}"), f"make the folder {folder}")
        calls = {}
        tool = f"{shlex.quote(board.python)} {folder}/measure.py"
        if program is None:
            _copy(board, Path(board_script.__file__).read_bytes(), f"{folder}/measure.py")
        else:
            tool = f"{folder}/benchmark_model"
            _copy(board, Path(program).read_bytes(), tool)
            _ask(board.host, board.call(f"chmod 700 {tool}"), "run a program of ours")
        for number, path in enumerate(dict.fromkeys(files)):
            place = f"{folder}/{number}{Path(path).suffix.lower()}"
            _copy(board, Path(path).read_bytes(), place)
            if program is None:
                samples = f"{folder}/{number}.npz"
                _copy(board, _pack_samples((inputs or {}).get(path, {})), samples)
                call = f"{tool} {place} {samples} {threads} {runs} {_RUN_S}"
            else:
                words = write_values((values or {}).get(path, ()))
                call = f"{write_call(tool, place, threads=threads, runs=runs)} {words}2>&1"
            # The shell lives on: of what a signal ends, ssh says what it says of a lost line.
            calls[path] = f"{call}; exit $?"
        found: dict[str, list[dict[str, Any]]] = {path: [] for path in calls}
        for number in range(rounds):
            for at, (path, command) in enumerate(calls.items()):
                done = board.call(command, limit_s=_RUN_S)
                if program is None:
                    found[path].append(_read_answer(board, done, path))
                else:
                    found[path].append(_read_printed(board, done, path))
                if progress is not None:
                    total = rounds * len(calls)
                    progress(f"timing {len(calls)} files", number * len(calls) + at + 1, total)
    if program is not None:
        say(f"{board.host}: {board.machine}, benchmark_model")
        return [summarize(path, threads, items) for path, items in found.items()]
    runtimes = sorted({item["runtime"] for items in found.values() for item in items})
    say(f"{board.host}: {board.machine}, {' and '.join(runtimes)}")
    return [_summarize(path, threads, items) for path, items in found.items()]


def _read_printed(
    board: Board, done: subprocess.CompletedProcess[bytes], path: str
) -> dict[str, float]:
    if done.returncode == _SSH_FAILED:
        _ask(board.host, done, "measure")
    return read_report(done.stdout.decode(errors="replace"), path=path, where=board.host)


def _copy(board: Board, content: bytes, place: str) -> None:
    done = board.call(f"cat > {place}", limit_s=_COPY_S, content=content)
    _ask(board.host, done, f"take {len(content):,} bytes")


def _pack_samples(samples: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    arrays: dict[str, Any] = {str(at): values for at, values in enumerate(samples.values())}
    np.savez(stream, names=np.array(list(samples), dtype=np.str_), **arrays)
    return stream.getvalue()


def _read_answer(
    board: Board, done: subprocess.CompletedProcess[bytes], path: str
) -> dict[str, Any]:
    where = f"device 'ssh:{board.host}'"
    for line in reversed(done.stdout.decode(errors="replace").splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue  # the runtime may print as it ends, after what we look for
        if not isinstance(found, dict):
            continue
        if "missing" in found:
            raise DeviceError(
                f"{where}: expected {found['missing']} for {board.python} there. Received: none. "
                f"On the board: {board.python} -m pip install {found['missing']}"
            )
        if "error" in found:
            raise ModelError(
                f"model {path!r}: expected it to run on {board.host}. Received: {found['error']}"
            )
        if set(found) >= _MEASURED:
            return found
    if done.returncode == _SSH_FAILED:
        _ask(board.host, done, "measure")
    received = _last_line(done.stderr) or f"exit code {done.returncode} and nothing measured"
    raise ModelError(f"model {path!r}: expected it to run on {board.host}. Received: {received}")


def _summarize(path: str, threads: int, found: Sequence[Mapping[str, Any]]) -> Latency:
    laps = np.concatenate([item["laps_ms"] for item in found])
    memory = [item["peak_memory_bytes"] for item in found]
    return Latency(
        path=path,
        bytes=Path(path).stat().st_size,
        threads=threads,
        load_ms=float(np.median([item["load_ms"] for item in found])),
        median_ms=float(np.median(laps)),
        p95_ms=float(np.percentile(laps, 95)),
        peak_memory_bytes=None if None in memory else max(memory),
        deciles_ms=tuple(np.percentile(laps, range(10, 100, 10)).tolist()),
    )


def _ask(host: str, done: subprocess.CompletedProcess[bytes], what: str) -> str:
    """Returns what a command printed.

    Raises:
        DeviceError: it failed, in the last words of ssh or of the board.
    """
    if done.returncode == 0:
        return done.stdout.decode(errors="replace")
    last = _last_line(done.stderr) or _last_line(done.stdout) or f"exit code {done.returncode}"
    if done.returncode == _SSH_FAILED:
        raise DeviceError(
            f"device 'ssh:{host}': expected a host that ssh reaches without asking. "
            f"Received: {last.rstrip('.')}. Once by hand: ssh {shlex.quote(host)} true"
        )
    raise DeviceError(f"device 'ssh:{host}': expected it to {what}. Received: {last}")


def _last_line(data: bytes) -> str:
    lines = [line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _run(
    command: list[str], host: str, limit_s: int, content: bytes
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - ssh, found on the PATH
            command, input=content, capture_output=True, check=False, timeout=limit_s
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"device 'ssh:{host}': expected an answer within {limit_s} s. Received: none. "
            "Is the board up? Ask for fewer --runs if it is slow."
        ) from error
