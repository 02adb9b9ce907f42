"""Python code in a process of its own that is asked again and again, each time with a limit.

`process.Child` is asked once. This is for what takes seconds to start and much data to answer.
"""

from __future__ import annotations

import contextlib
import json
import queue
import struct
import subprocess
import tempfile
import threading
from typing import Any, Self

from tfxfer.system.process import describe_end, end_group, start_python

__all__ = ["Dialogue", "DialogueError"]

_WAIT_S = 10  # for what has nothing left to do

# As in `process`: what the code prints gets no descriptor that answers go through.
_BEFORE = """
import json, os, struct, sys
sys.path[:] = json.loads(sys.argv[1])
_source = os.fdopen(os.dup(0), "rb")
_target = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

def read_question():
    head = _source.read(16)
    if len(head) < 16:
        os._exit(0)
    size, rest = struct.unpack("<QQ", head)
    return json.loads(_source.read(size)), _source.read(rest)

def answer(document):
    _target.write(json.dumps(document) + "\\n")
    _target.flush()

"""


class DialogueError(Exception):
    """The child has not answered.

    Attributes:
        hung: whether it had to be ended.
    """

    def __init__(self, message: str, *, hung: bool = False) -> None:
        super().__init__(message)
        self.hung = hung


class Dialogue:
    """Python code in a process of its own; use as a context manager.

    It starts at once. When the context ends, so does everything that the code has started.

    Args:
        code: calls `read_question()`, which returns JSON data and bytes, and `answer(document)`
            once for each question. It has this process's `sys.path`.

    Example:
        >>> with Dialogue("while True: answer(read_question()[0] + 1)") as child:
        ...     child.ask(1, timeout_s=60), child.ask(2, timeout_s=60)
        (2, 3)
    """

    def __init__(self, code: str) -> None:
        self._ended: DialogueError | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - __exit__ closes it
        try:
            self._process = start_python(
                f"{_BEFORE}{code}", stdout=subprocess.PIPE, stderr=self._noise
            )
        except BaseException:
            self._noise.close()
            raise
        # Whoever waits for a pipe waits for ever: threads do, and are left behind.
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_group(self._process)
        self._process.wait()
        self._listener.join(_WAIT_S)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what is still in its buffer nobody reads
            self._process.stdin.close()
        self._noise.close()

    def ask(self, question: Any, payload: bytes = b"", *, timeout_s: float) -> Any:
        """Returns the answer to a question, JSON data.

        Args:
            question: JSON data.
            payload: bytes that go with it, such as those of an array.
            timeout_s: how long it may take, in seconds.

        Raises:
            DialogueError: the child has ended, or had to be ended. It answers nothing any more.
        """
        if self._ended is not None:
            raise DialogueError(str(self._ended), hung=self._ended.hung)
        text = json.dumps(question).encode()
        frame = b"".join((struct.pack("<QQ", len(text), len(payload)), text, payload))
        threading.Thread(target=self._say, args=(frame,), daemon=True).start()
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            line = None
            self._ended = DialogueError(f"did not answer within {timeout_s:g} s", hung=True)
            end_group(self._process)
        if line is not None:
            return json.loads(line)
        if self._ended is None:
            self._ended = DialogueError(self._describe_end())
        raise self._ended

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                if line.endswith(b"\n"):  # a last line that is cut is no answer
                    self._lines.put(line)
        self._lines.put(None)

    def _say(self, frame: bytes) -> None:
        assert self._process.stdin is not None
        # It has ended: `ask` finds out.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(frame)
            self._process.stdin.flush()

    def _describe_end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        end_group(self._process)  # where it only has closed its answers
        return describe_end(self._process.wait(), self._noise)
