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
from typing import Any, Self

__all__ = ["Child", "Outcome", "ask_child"]

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
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-P", "-W", "ignore", "-c", program, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=self._answers,
                stderr=self._noise,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                start_new_session=True,
            )
        except BaseException:
            self._close_files()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
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
            self._end()
            self._process.wait()
        self._answers.seek(0)
        # A last line that is cut is no answer.
        lines = [line for line in self._answers if line.endswith(b"\n")]
        if hung:
            end = f"did not end within {timeout_s:g} s"
        elif code < 0:
            end = f"ended Python with signal {-code}: {self._last_words()}"
        else:
            end = f"ended Python with exit code {code}: {self._last_words()}"
        return Outcome(tuple(map(json.loads, lines)), end, max(0, -code), hung)

    def _last_words(self) -> str:
        self._noise.seek(0)
        text = self._noise.read().decode("utf-8", "replace")
        return ([line.strip() for line in text.splitlines() if line.strip()] or ["no message"])[-1]

    def _end(self) -> None:
        if hasattr(os, "killpg"):
            # Also when the child has ended: what it started is still of its group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:  # pragma: no cover - Windows has no process groups
            self._process.kill()

    def _close_files(self) -> None:
        self._answers.close()
        self._noise.close()


def ask_child(code: str, question: Any, *, timeout_s: float) -> Outcome:
    """Starts code in a process of its own and asks it; see `Child`."""
    with Child(code) as child:
        return child.ask(question, timeout_s=timeout_s)
