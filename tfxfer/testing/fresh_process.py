"""What a plugin does in a Python process of its own: imports, and models loaded without tfxfer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["HEAVY", "FreshProcess", "Imports", "find_imports"]

HEAVY = ("tensorflow", "keras", "jax", "torch")
"""Packages that take seconds to import."""

_IMPORT_TIMEOUT_S = 60.0
_TOLERANCE = 1e-5  # of the outputs' own scale; the same file on the same machine gives 0

_IMPORT = """
import contextlib, importlib, json, runpy, sys
sys.path[:] = json.loads(sys.argv[1])
question = json.load(sys.stdin)
error = None
with contextlib.redirect_stdout(sys.stderr):
    try:
        try:
            importlib.import_module(question["module"])
        except ModuleNotFoundError as missing:
            # pytest gives a test module a name that is on no path.
            if not question["file"] or not question["module"].startswith(missing.name):
                raise
            runpy.run_path(question["file"])
    except BaseException as raised:
        error = f"{type(raised).__name__}: {raised}"
heavy = [name for name in question["heavy"] if name in sys.modules]
print(json.dumps({"heavy": heavy, "error": error}))
"""


class FreshProcess:
    """Python code in a process of its own that answers one question; use as a context manager.

    Args:
        code: reads `sys.path` from its first argument and a question from stdin, both JSON; its
            last line on stdout is the answer, an object with `error`.
    """

    def __init__(self, code: str) -> None:
        # Files instead of pipes: what a plugin starts may outlive it and would keep a pipe open.
        self._answer = tempfile.TemporaryFile("w+")  # noqa: SIM115 - __exit__ closes it
        self._noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 - the same
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", code, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=self._answer,
            stderr=self._noise,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._answer.close()
        self._noise.close()

    def ask(self, question: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Returns the answer; its `error` says where there is none."""
        try:
            self._process.communicate(json.dumps(question), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return {"step": "start", "error": f"it did not end within {timeout_s:g} s"}
        self._answer.seek(0)
        self._noise.seek(0)
        lines = self._answer.read().strip().splitlines()
        if self._process.returncode or not lines:
            last = (self._noise.read().strip().splitlines() or ["no message"])[-1]
            error = f"Python ended with exit code {self._process.returncode}: {last}"
            return {"step": "start", "error": error}
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer


@dataclass(frozen=True)
class Imports:
    """What importing a module in a process of its own brought.

    Args:
        heavy: which of `HEAVY` came with it.
        error: what it raised; None where it imported.
    """

    heavy: tuple[str, ...]
    error: str | None


def find_imports(module: str, *, timeout_s: float = _IMPORT_TIMEOUT_S) -> Imports:
    """Returns what importing a module brings, found out in another process.

    Args:
        module: by its name; one that only lives in a file, as a test does, is run from there.
        timeout_s: how long the import may take, in seconds.
    """
    question = {
        "module": module,
        "file": getattr(sys.modules.get(module), "__file__", None),
        "heavy": HEAVY,
    }
    with FreshProcess(_IMPORT) as process:
        answer = process.ask(question, timeout_s=timeout_s)
    return Imports(tuple(answer.get("heavy", ())), answer["error"])
