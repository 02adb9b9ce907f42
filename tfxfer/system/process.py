"""Python code in a process of its own: a question to it, its answers back, and a limit of time.

What is imported there may print, hang, crash or start processes of its own without any harm here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, Any, Self

__all__ = ["Child", "Outcome", "ask_child", "describe_end", "end_group", "start_python"]

# Whatever the code prints must not get between us and the answers: they have a descriptor of their
# own. At the end, threads and exit handlers of what was imported must not make the process hang.
_BEFORE = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

def read_question():
    return json.load(sys.stdin)

def answer(document):
    answers.write(json.dumps(document) + "\\n")
    answers.flush()

"""
_AFTER = """
os._exit(0)
"""


@dataclass(frozen=True)
class Outcome:
    """What a child had to say.

    Args:
        answers: JSON data, in order.
        end: how it ended, to be read after its name, such as `ended Python with exit code 3: no
            message`. For whoever misses an answer.
        signal: that ended it; 0 for none.
        hung: whether it had to be ended.
    """

    answers: tuple[Any, ...]
    end: str
    signal: int = 0
    hung: bool = False


class Child:
    """Python code in a process of its own that is asked once; use as a context manager.

    It starts at once, so that what takes long and needs no question can be done early. When the
    context ends, so does everything that the code has started.

    Args:
        code: gets its question from `read_question()` and calls `answer(document)` as often as it
            likes. It has this process's `sys.path`.

    Example:
        >>> with Child("answer(read_question() + 1)") as child:
        ...     child.ask(2, timeout_s=60).answers
        (3,)
    """

    def __init__(self, code: str) -> None:
        program = f"{_BEFORE}{code}{_AFTER}"
        # Files instead of pipes: what the code starts may outlive it and would keep a pipe open.
        self._answers = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - the same
        try:
            self._process = start_python(program, stdout=self._answers, stderr=self._noise)
        except BaseException:
            self._close_files()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_group(self._process)
        self._process.communicate()
        self._close_files()

    def ask(self, question: Any, *, timeout_s: float) -> Outcome:
        """Returns what the child answers until it ends.

        Args:
            question: JSON data.
            timeout_s: how long it may take from now, in seconds.
        """
        hung, code = False, 0
        try:
            self._process.communicate(json.dumps(question).encode(), timeout=timeout_s)
            code = self._process.returncode
        except subprocess.TimeoutExpired:
            hung = True
            end_group(self._process)
            self._process.wait()
        self._answers.seek(0)
        # A last line that is cut is no answer.
        lines = [line for line in self._answers if line.endswith(b"\n")]
        end = f"did not end within {timeout_s:g} s" if hung else describe_end(code, self._noise)
        return Outcome(tuple(map(json.loads, lines)), end, max(0, -code), hung)

    def _close_files(self) -> None:
        self._answers.close()
        self._noise.close()


def ask_child(code: str, question: Any, *, timeout_s: float) -> Outcome:
    """Starts code in a process of its own and asks it; see `Child`."""
    with Child(code) as child:
        return child.ask(question, timeout_s=timeout_s)


def start_python(program: str, *, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
    """Starts our own interpreter in a session of its own; its question comes through a pipe.

    Args:
        program: finds this process's `sys.path` as JSON in its only argument.
        stdout: where its answers go.
        stderr: where all else goes that it prints.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-W", "ignore", "-c", program, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        start_new_session=True,
    )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process of `start_python`, and what it has started."""
    if hasattr(os, "killpg"):
        # Also when it has ended itself: what it started is still of its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:  # pragma: no cover - Windows has no process groups
        process.kill()


def describe_end(code: int, noise: IO[bytes]) -> str:
    """Returns how a process ended, to be read after its name.

    Args:
        code: its exit status, below 0 of a signal.
        noise: what it printed, whose last line says most.
    """
    noise.seek(0)
    lines = noise.read().decode("utf-8", "replace").splitlines()
    last = ([line.strip() for line in lines if line.strip()] or ["no message"])[-1]
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"ended Python with {how}: {last}"
